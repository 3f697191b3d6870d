"""The simulated OneFile of the demo, in its own process, and its control endpoints."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from syncd.errors import StoryBroken
from syncd.simulator.field_rules import LEARNER

_PATIENCE_SECONDS: Final = 10


class OneFile:
    """A running simulator, accessed through its control endpoints.

    Attributes:
        base_url: the URL for syncd's configuration.
        customer_token: the token that syncd logs in with.
    """

    def __init__(self, base_url: str, customer_token: str, control: httpx.Client) -> None:
        self.base_url = base_url
        self.customer_token = customer_token
        self._control = control

    @property
    def learners(self) -> list[dict[str, Any]]:
        """Every learner's account with all its fields."""
        return [user for user in self._look("users") if user["Role"] == LEARNER]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Every call so far, the oldest first; ``is_write`` is true for those that asked for a change."""
        calls: list[dict[str, Any]] = self._look("journal")
        return calls

    @property
    def number_of_users(self) -> int:
        """The number of accounts, including staff."""
        count: int = self._look("state")["users"]
        return count

    def take_in(self, seed: dict[str, list[dict[str, Any]]]) -> None:
        """Add rows, as if an administrator had created them in OneFile by hand."""
        self._ask("POST", "seed", json=seed)

    def _look(self, at: str) -> Any:
        return self._ask("GET", at).json()

    def _ask(self, method: str, at: str, **content: Any) -> httpx.Response:
        try:
            return self._control.request(method, f"/simulator/{at}", **content).raise_for_status()
        except httpx.HTTPError:
            raise StoryBroken("The simulated OneFile stopped during the demo.") from None


@contextmanager
def simulated_onefile(seed: Path, environment: Mapping[str, str], *, keychain: bool) -> Iterator[OneFile]:
    """Run a OneFile with the data of the file ``seed``; its process always ends with the context.

    Raises `StoryBroken`.
    """
    command = [sys.executable, "-m", "syncd", "simulate", "--port", "0", "--seed", str(seed)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, *(["--keychain"] if keychain else [])],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    try:
        said = [process.stdout.readline().strip() for _ in range(2)] if process.stdout else []
        base_url = said[0].removeprefix("OneFile is simulated at ")
        token = said[1].removeprefix("SYNCD_ONEFILE__CUSTOMER_TOKEN=")
        if base_url == said[0] or token == said[1]:
            raise StoryBroken(f"The simulated OneFile did not start. It said: {said[0] or 'nothing'}")
        # A network proxy cannot reach this machine's loopback.
        with httpx.Client(base_url=httpx.URL(base_url).join("/"), trust_env=False) as control:
            yield OneFile(base_url, token, control)
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
