"""uvicorn with a stop that takes no time, as tests start and stop simulators by the hundred."""

import asyncio
import socket
import threading

import uvicorn


class QuickServer(uvicorn.Server):
    """Runs in a thread of its own until `stop` is called from another."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()
        """Set when calls are answered."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Has the server end; to be called once `is_up`."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        """Waits to be stopped, where uvicorn looks ten times a second."""
        self._loop = asyncio.get_running_loop()
        self.is_up.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Closes every connection at once, where uvicorn waits for clients: what runs still, waits on purpose."""
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
