"""Closing a connection without an answer, which ASGI has no message for."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_ABORT = "syncd.simulator.abort"


class AbortableProtocol(H11Protocol):
    """uvicorn's own protocol, which also tells the application how to abort the connection it serves."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop for each new connection."""
        super().connection_made(transport)
        app: ASGIApp = self.app

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_ABORT] = transport.abort
            await app(scope, receive, send)

        self.app = told


async def hang_up(scope: Scope, receive: Receive) -> None:
    """Closes the connection of this call at once and waits until it is closed; the client gets not one byte."""
    scope[_ABORT]()
    # Returning before uvicorn knows would have it report an application that forgot to answer.
    while (await receive())["type"] != "http.disconnect":
        pass
