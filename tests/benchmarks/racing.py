"""A race: contenders in processes of their own, which take their turns round by round."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Final

from .college import College
from .contenders import Hollow

#: Each process is forked from one that has loaded syncd and nothing else, so that what they take differs by their work.
_PROCESSES: Final = get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.benchmarks.contenders"])
_LONGEST_ROUND_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """Who takes part, and what they must have seen at the end of each round."""

    name: str
    contender: str
    """The module of this folder and the function in it, ``contenders.poll``."""
    college: College
    expected: int
    rounds: int | None = None
    """At most so many, for those who take long."""


@dataclass(slots=True)
class Result:
    """How it went for one of them."""

    name: str
    seen: int
    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    """The most memory that the whole process has had."""


def race(entries: Sequence[Entry], rounds: int) -> list[Result]:
    """Have each make one round that does not count, then the rounds: in turns, and the other way round every second.

    Raises `Hollow` when one of them has not seen what it must have.
    """
    results = [Result(entry.name, entry.expected) for entry in entries]
    with ExitStack() as stack:
        lanes = [stack.enter_context(_lane(entry)) for entry in entries]
        for lane in lanes:
            lane.go()
        for number in range(rounds):
            order = list(zip(entries, lanes, results, strict=True))
            for entry, lane, result in order if number % 2 == 0 else reversed(order):
                if entry.rounds is None or number < entry.rounds:
                    result.seconds.append(lane.go())
        for lane, result in zip(lanes, results, strict=True):
            result.peak_mb = lane.peak_mb()
    return results


class _Lane:
    def __init__(self, entry: Entry, pipe: Connection) -> None:
        self._entry = entry
        self._pipe = pipe

    def go(self) -> float:
        """The seconds that one round has taken."""
        seconds, seen = self._ask("go")
        if seen != self._entry.expected:
            raise Hollow(f"{self._entry.name} has seen {seen} and not {self._entry.expected}")
        return seconds

    def peak_mb(self) -> float:
        return self._ask("peak")[0]

    def _ask(self, what: str) -> tuple[float, int]:
        self._pipe.send(what)
        if not self._pipe.poll(_LONGEST_ROUND_SECONDS):
            raise Hollow(f"{self._entry.name} is not done after {_LONGEST_ROUND_SECONDS:.0f} seconds")
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise Hollow(f"{self._entry.name} has broken down; see above") from None
        number, seen = answer
        return number, seen


@contextmanager
def _lane(entry: Entry) -> Iterator[_Lane]:
    ours, theirs = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=_work, args=(theirs, entry.contender, entry.college), name=entry.name)
    process.start()
    theirs.close()
    try:
        yield _Lane(entry, ours)
    finally:
        ours.close()
        process.join(30)
        if process.is_alive():
            process.kill()
            process.join()


def _work(pipe: Connection, contender: str, college: College) -> None:
    module, _, name = contender.partition(".")
    with getattr(import_module(f"tests.benchmarks.{module}"), name)(college) as go:
        while True:
            try:
                asked = pipe.recv()
            except EOFError:
                return
            if asked == "peak":
                pipe.send((_peak_mb(), 0))
                continue
            began = perf_counter()
            seen = go()
            pipe.send((perf_counter() - began, seen))


def _peak_mb() -> float:
    """As Linux counts it: what a parent had before the process was made is not in it, as it is with ``ru_maxrss``."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
