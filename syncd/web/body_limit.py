"""A limit on the size of every request's body, because a body is read into memory."""

from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Fifty thousand MISIDs to sync.
LONGEST_BODY_BYTES: Final = 1_000_000

_TOO_LONG: Final = f"The body is longer than {LONGEST_BODY_BYTES:,} bytes."


class BodyLimit:
    """Answers a request with 413 once more of its body has come than is allowed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 413. A client that has left gets no answer, and that is no error."""
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LONGEST_BODY_BYTES:
                raise _TooLong
            return message

        try:
            await self._app(scope, receive_within_limit, send)
        except _TooLong:
            await JSONResponse({"error": _TOO_LONG}, 413)(scope, receive, send)
        except ClientDisconnect:
            return


class _TooLong(Exception): ...
