"""The pages for people."""

from collections.abc import Callable, Sequence
from datetime import datetime

from starlette.routing import Mount, Route

from syncd.state.store import Store


def pages(
    store: Store,  # noqa: ARG001
    organisations: Sequence[int],  # noqa: ARG001
    clock: Callable[[], datetime],  # noqa: ARG001
) -> list[Route | Mount]:
    """The routes of the pages, and of what they load from ``/static``."""
    return []
