"""The measures: who is raced against whom, over which college."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from syncd.core.run import Trigger
from syncd.onefile.rate_limit import rate_of
from syncd.simulator import LimiterShape, Simulator, Switches
from syncd.sync.run import run_once
from tests.support.addresses import free_address

from .college import College, look_up_codes, put_in_step, residents, seed
from .contenders import FETCHED, STORED, Hollow
from .databases import Make, databases
from .learners import ONE_IN, change_some, fill
from .peers import copy_for_reladiff
from .racing import Entry, Result, race
from .results import Measured, Report

#: A round of it takes as long as OneFile's limit has it take.
_SENDING_ROUNDS: Final = 2
_PEERS_ROUNDS: Final = 3
_STORING_ROUNDS: Final = 2

MEASURES: Final = ("poll", "diff", "plan", "page", "store", "send")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be measured."""

    sizes: tuple[int, ...]
    pairs: tuple[tuple[str, str], ...] = (("sqlite", "sqlite"), ("postgresql", "postgresql"))
    """The makes of the MIS and of the state store."""
    rounds: int = 5
    measures: tuple[str, ...] = MEASURES
    calls: int = 300
    """How many changes `send` sends in a round."""
    calls_per_minute: int = 300
    peers_up_to: int = 100_000
    """With more rows than this the peers are left out: they take minutes and gigabytes."""


def run(choice: Choice, tell: Callable[[Sequence[Measured]], None] = lambda _measured: None) -> Report:
    """Measure it all; ``tell`` is told of each race. Raises `Hollow`."""
    report = Report(choice.rounds, choice.sizes)
    with databases(with_postgres=any("postgresql" in pair for pair in choice.pairs)) as (folder, make):
        for source, state in choice.pairs:
            for rows in choice.sizes:
                site = _Site(choice, folder / f"{source}-{state}-{rows}", make, source, state, rows)
                for measure, results in site.races():
                    tell(report.add(measure, source, state, rows, results))
            if "send" in choice.measures:
                sent = _send(choice, folder / f"{source}-{state}-send", make(source), make(state))
                tell(report.add("send", source, state, choice.calls, sent))
    return report


class _Site:
    """One size of college, on one pair of databases."""

    def __init__(self, choice: Choice, folder: Path, make: Make, source: str, state: str, rows: int) -> None:
        self._choice = choice
        self._rows = rows
        self._make = make
        self._state = state
        self._college = College(folder / "in-step", make(source), make(state)).laid_out()
        self._has_peers = rows <= choice.peers_up_to

    def races(self) -> Iterator[tuple[str, list[Result]]]:
        """Each measure that is asked for, in an order in which none is in another's way."""
        college, measures = self._college, self._choice.measures
        fill(college.source, self._rows)
        if {"poll", "diff", "page", "store"} & {*measures}:
            with college.context() as context:
                written = put_in_step(context)
                # What is measured is a poll like any other, which goes by what the one before has left.
                run_once(context, Trigger.SCHEDULE)
            if written != self._rows:
                raise Hollow(f"{written} of {self._rows} learners have an account")
        with Simulator(Switches(limiter=LimiterShape.OFF), seed()) as onefile:
            entries: dict[str, Callable[[], list[Entry]]] = {
                "poll": self._poll,
                "diff": self._diff,
                "plan": lambda: self._plan(onefile.base_url),
                "page": self._page,
                "store": self._store,
            }
            for measure, of_measure in entries.items():
                if measure in measures:
                    yield measure, race(of_measure(), self._choice.rounds)

    def _poll(self) -> list[Entry]:
        entries = [self._floor(), Entry("syncd", "contenders.poll", self._college, self._rows)]
        if self._has_peers:
            entries += [
                Entry(name, f"peers.{function}", self._college, self._rows, _PEERS_ROUNDS)
                for name, function, package in (
                    ("naive: ORM and model per row", "naive", "sqlalchemy"),
                    ("dlt, merge", "dlt_merge", "dlt"),
                    ("dlt, incremental", "dlt_incremental", "dlt"),
                )
                if find_spec(package)
            ]
        return entries

    def _diff(self) -> list[Entry]:
        source = self._college.source
        is_there = self._has_peers and find_spec("reladiff") is not None
        is_compared = is_there and make_url(source).get_backend_name() == "postgresql"
        if is_compared:
            copy_for_reladiff(source)
        change_some(source)
        entries = [self._floor(), Entry("syncd", "contenders.diff", self._college, self._rows)]
        if is_compared:
            changed = ceil(self._rows / ONE_IN)
            entries.append(Entry("reladiff", "peers.reladiff", self._college, changed, _PEERS_ROUNDS))
        return entries

    def _plan(self, onefile: str) -> list[Entry]:
        # Of the pace that OneFile allows it needs a few calls, which are not what is measured here.
        new = replace(
            self._college,
            folder=self._college.folder.with_name("new"),
            state=self._make(self._state),
            onefile=onefile,
            calls_per_minute=60_000,
        ).laid_out()
        # Before the race, because the two start together: only one can create the schema and store what codes mean.
        with new.context() as context:
            look_up_codes(context)
        return [
            self._floor(),
            Entry("syncd", "contenders.first_plan", new, self._rows),
            # Each round leaves its plan in the store, as runs do.
            Entry("syncd, stored", "contenders.stored_plan", new, self._rows, _STORING_ROUNDS),
        ]

    def _page(self) -> list[Entry]:
        return [
            Entry(name, f"contenders.{function}", self._served(function), FETCHED)
            for name, function in (("/healthz", "healthz"), ("overview", "overview"))
        ]

    def _served(self, name: str) -> College:
        return replace(self._college, folder=self._college.folder.with_name(name), admin=free_address()).laid_out()

    def _store(self) -> list[Entry]:
        return [
            Entry("bare driver", "contenders.bare_inserts", self._college, STORED),
            Entry("syncd", "contenders.journal", self._college, STORED),
        ]

    def _floor(self) -> Entry:
        return Entry("bare driver", "contenders.bare_driver", self._college, self._rows)


def _send(choice: Choice, folder: Path, source: str, state: str) -> list[Result]:
    """Against the pace: what the limit leaves is no contender, for it is known beforehand."""
    fill(source, choice.calls)
    switches = Switches(limiter=LimiterShape.BUCKET, calls_per_minute=choice.calls_per_minute)
    with Simulator(switches, seed()) as onefile:
        onefile.sow({"users": residents(choice.calls)})
        college = College(folder, source, state, onefile.base_url, calls_per_minute=choice.calls_per_minute).laid_out()
        with college.context() as context:
            put_in_step(context)
        (sent,) = race([Entry("syncd", "contenders.send", college, choice.calls)], _SENDING_ROUNDS)
        if 429 in {call.status for call in onefile.journal}:
            raise Hollow("the simulator has said 429")
    rate = rate_of(choice.calls_per_minute)
    least = choice.calls / rate.limit * rate.interval / 1000
    return [Result("98 % of the limit", choice.calls, [least] * len(sent.seconds), sent.peak_mb), sent]
