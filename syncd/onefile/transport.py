"""The rate-limited transport: every request to OneFile, including log-ins, goes through it (§3)."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Final

import httpx

from syncd.errors import OneFileUnreachable
from syncd.onefile.rate_limit import RateLimiter
from syncd.onefile.responses import parse_retry_after

_MOST_429S: Final = 10


class RateLimitedTransport(httpx.BaseTransport):
    """Waits for a turn before each request, and retries after a 429, which means that nothing was done.

    ``on_throttled`` receives the seconds for which calls are blocked after a 429, once for all calls that got it.
    Raises `OneFileUnreachable` if OneFile keeps answering 429, and `Interrupted`.
    """

    def __init__(
        self,
        inner: httpx.BaseTransport,
        rate_limiter: RateLimiter,
        *,
        clock: Callable[[], datetime],
        on_throttled: Callable[[float], None],
    ) -> None:
        self._inner = inner
        self._rate_limiter = rate_limiter
        self._clock = clock
        self._on_throttled = on_throttled

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request when its turn has come."""
        for _ in range(_MOST_429S):
            self._rate_limiter.wait()
            response = self._inner.handle_request(request)
            if response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                return response
            response.close()
            if seconds := self._rate_limiter.block_until(parse_retry_after(response, self._clock())):
                self._on_throttled(seconds)
        raise OneFileUnreachable(
            f"OneFile answered 429 (too many requests) {_MOST_429S} times running; "
            "is something else calling it with the same customer token?"
        )

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()
