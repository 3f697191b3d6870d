"""The heartbeat: an outside watcher is called after each poll that completes, so that it notices if none does.

syncd itself cannot report a host that is dead, a daemon that has stopped, or a network that is gone.
"""

from typing import Final

import httpx
from pydantic import SecretStr
from structlog.typing import FilteringBoundLogger

from syncd.errors import ConfigurationError
from syncd.route import Route

#: For connecting, and for each wait for the watcher's answer. The next poll is far longer away.
_TIMEOUT_SECONDS: Final = 10.0


class Heartbeat:
    """Calls one URL. It is often a watcher's only secret, so no part of it is ever shown."""

    def __init__(self, url: SecretStr, log: FilteringBoundLogger, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._url = url
        self._log = log
        self._timeout_seconds = timeout_seconds
        self._is_failing = False

    def beat(self) -> None:
        """Call the watcher. A failure is logged once, until a call succeeds again; nothing is raised."""
        problem = self._call()
        if problem and not self._is_failing:
            self._log.warning("heartbeat_failed", reason=problem)
        elif self._is_failing and not problem:
            self._log.info("heartbeat_recovered")
        self._is_failing = bool(problem)

    def _call(self) -> str:
        """Send the call; returns what is wrong, or nothing."""
        try:
            url = self._url.get_secret_value()
            route = Route.to(url)
            proxy = route.proxy.for_httpx if route.proxy else None
            # What the watcher answers is of no interest, so its body is not read.
            with (
                httpx.Client(verify=route.tls, proxy=proxy, trust_env=False, timeout=self._timeout_seconds) as client,
                client.stream("GET", url) as response,
            ):
                if response.is_success:
                    return ""
                return f"notify.heartbeat_url: the watcher answered {response.status_code}"
        except httpx.TimeoutException:
            return f"notify.heartbeat_url: the watcher did not answer within {self._timeout_seconds:g} seconds"
        except ConfigurationError as problem:
            return f"notify.heartbeat_url: {problem}"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # The text of the error may contain the URL.
            return f"notify.heartbeat_url: the watcher cannot be reached ({type(error).__name__})"
