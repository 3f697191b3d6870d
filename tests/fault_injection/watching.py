"""A simulator whose calls a test watches, and meddles with, as they arrive."""

import time
from collections.abc import Callable

from syncd.simulator import Fault, Faults, Simulator
from syncd.simulator.faults import Trouble


class _Watched(Faults):
    def __init__(self, on_call: Callable[[str, str], Fault | None]) -> None:
        super().__init__(time.time)
        self._on_call = on_call

    def meet(self, method: str, path: str) -> Trouble:
        return Trouble(fault=self._on_call(method, path))


def watch(simulator: Simulator, on_call: Callable[[str, str], Fault | None]) -> None:
    """Have ``on_call`` told the method and path of each call before it is looked at; it may give it a fault to meet."""
    simulator.faults = _Watched(on_call)


def watch_creates(simulator: Simulator, on_create: Callable[[int], Fault | None]) -> None:
    """The same for creates alone: ``on_create`` is told how many there have been, this one included."""
    creates = 0

    def on_call(method: str, path: str) -> Fault | None:
        nonlocal creates
        if (method, path) != ("POST", "/User"):
            return None
        creates += 1
        return on_create(creates)

    watch(simulator, on_call)
