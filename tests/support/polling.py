"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import pytest

_PATIENCE_SECONDS: Final = 120

_Found = TypeVar("_Found")


def wait_until(
    look: Callable[[], _Found | None], what: str = "this", *, patience: float = _PATIENCE_SECONDS, pause: float = 0.02
) -> _Found:
    """Call `look` until it returns something true, and return that; fail the test if it never does."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(pause)
    pytest.fail(f"waited {patience} seconds for {what}")
