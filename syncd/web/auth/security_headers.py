"""The headers that limit what our pages may do in a browser to what they need."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OWN: Final = ("script-src", "style-src", "img-src", "font-src", "connect-src", "form-action")

HEADERS: Final = {
    "Content-Security-Policy": "; ".join(
        ("default-src 'none'", *(f"{each} 'self'" for each in _OWN), "frame-ancestors 'none'", "base-uri 'none'")
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The next person at this computer must not see the pages.
    "Cache-Control": "no-store",
}
_OF_STATIC: Final = {**HEADERS, "Cache-Control": "no-cache"}


class SecurityHeaders:
    """Adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add the headers to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _OF_STATIC if scope["path"].startswith("/static/") else HEADERS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, send_with_headers)
