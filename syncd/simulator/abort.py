"""Closes a connection without a response, which ASGI has no message for."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_ABORT = "syncd.simulator.abort"


class AbortableProtocol(H11Protocol):
    """uvicorn's own protocol, which also passes the application a function to abort its connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop for each new connection."""
        super().connection_made(transport)
        app: ASGIApp = self.app

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_ABORT] = transport.abort
            await app(scope, receive, send)

        self.app = told


async def hang_up(scope: Scope, receive: Receive) -> None:
    """Closes the connection of this call at once and waits until it is closed; the client receives no byte."""
    scope[_ABORT]()
    # If this returned before the disconnect, uvicorn would report that the application did not respond.
    while (await receive())["type"] != "http.disconnect":
        pass
