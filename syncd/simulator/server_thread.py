"""uvicorn with an immediate stop, because tests start and stop hundreds of simulators."""

import asyncio
import socket
import threading

import uvicorn


class QuickServer(uvicorn.Server):
    """Runs in its own thread until another thread calls `stop`."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()
        """Set when the server is ready."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Stops the server; call it only after `is_up` is set."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        """Waits for `stop`; uvicorn polls ten times a second instead."""
        self._loop = asyncio.get_running_loop()
        self.is_up.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Closes every connection at once instead of waiting for clients: calls still running are deliberate delays."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        tasks = list(self.server_state.tasks)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
