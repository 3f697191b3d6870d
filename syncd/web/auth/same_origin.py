"""Protection against requests that other web sites make through a visitor's browser."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_ELSEWHERE = "Cross-site request refused."
_BY_ANOTHER_NAME = (
    "Without a token or a password syncd answers only by the names that every machine has for itself, "
    "such as 127.0.0.1 or localhost."
)


class OwnSite:
    """Keeps other web sites from having a visitor's browser ask for changes.

    ``is_on_loopback`` says that no token or password is required: a site could then point its own name at this
    machine's address and read the pages, so only the names that every machine has for itself are answered.
    """

    def __init__(self, app: ASGIApp, is_on_loopback: bool) -> None:
        self._app = app
        self._is_on_loopback = is_on_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        if scope["type"] == "http" and (objection := self._objection(scope)):
            await JSONResponse({"error": objection}, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _objection(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        # A browser always sends the Host header; a client without it is not a browser.
        if self._is_on_loopback and "host" in headers and not _is_this_machine(headers["host"]):
            return _BY_ANOTHER_NAME
        return "" if scope["method"] in {"GET", "HEAD"} or _is_own(headers) else _ELSEWHERE


def _is_own(headers: Headers) -> bool:
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return False
    # Browsers send Origin with every request for a change; a client without it is not a browser.
    return "origin" not in headers or headers["origin"].partition("://")[2] == headers.get("host")


def _is_this_machine(site: str) -> bool:
    try:
        name = urlsplit(f"//{site}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
