"""Reports OneFile's response times. The reports contain no personal values."""

import re
import time
from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus
from typing import Final, NamedTuple

import httpx


class ResponseKind(StrEnum):
    """The outcome of a request."""

    OK = "ok"
    REFUSED = "refused"
    """OneFile refused the request (4xx)."""
    THROTTLED = "throttled"
    """OneFile throttled the request (429)."""
    FAILED = "failed"
    """OneFile or a gateway failed (5xx), or redirected the request (3xx)."""
    NONE = "none"
    """No readable response, or none in time."""


class Request(NamedTuple):
    """One request that was sent, and its outcome."""

    endpoint: str
    """Method and path, with ``{id}`` for each number."""
    answer: ResponseKind
    seconds: float


OnRequest = Callable[[Request], None]

_NUMBER: Final = re.compile(r"(?<=/)\d+(?=/|$)")


class TimedTransport(httpx.BaseTransport):
    """Calls ``on_request`` for each request with its endpoint, the kind of response and the seconds it took.

    ``root`` is the path that every endpoint begins with; reports omit it.
    """

    def __init__(self, inner: httpx.BaseTransport, root: str, on_request: OnRequest) -> None:
        self._inner = inner
        self._root = root.rstrip("/")
        self._on_request = on_request

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, and read its whole response."""
        began = time.monotonic()
        answer = ResponseKind.NONE
        try:
            response = self._inner.handle_request(request)
            response.read()
            answer = _kind_of(response.status_code)
            return response
        finally:
            self._on_request(Request(self._endpoint(request), answer, time.monotonic() - began))

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _endpoint(self, request: httpx.Request) -> str:
        return f"{request.method} {_NUMBER.sub('{id}', request.url.path.removeprefix(self._root))}"


def _kind_of(status: int) -> ResponseKind:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return ResponseKind.OK
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ResponseKind.THROTTLED
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return ResponseKind.REFUSED
    return ResponseKind.FAILED
