"""A daemon that works for a while without rest: every second a poll, an MIS edited all the time, a OneFile that fails,
and somebody who never stops asking how it is.

It takes as many seconds as ``SYNCD_SOAK_SECONDS`` says. ``pytest -s`` shows what it has measured.
"""

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import httpx
import psutil
import pytest
from sqlalchemy import create_engine

from syncd.simulator import LimiterShape, Simulator, Switches
from tests.acceptance.command import UNHURRIED, Exit, Finished, Running, Syncd, wait_until
from tests.acceptance.test_daemon import free_address, wait_until_it_listens

from .college import FEED, ORGANISATION, SEED, BusyMis, Chance, accounts, let_it_fail

_SECONDS: Final = float(os.environ.get("SYNCD_SOAK_SECONDS", "45"))
_FAULTS: Final = 0.02
_BETWEEN_MEASUREMENTS_SECONDS: Final = 0.5
#: Part of what it has in the middle of the time that a process may have more of at the end.
_MAY_GROW_BY: Final = 0.1
#: How many connections to the store may be open at one time and not at another, with three handles each.
_HANDLES_THAT_COME_AND_GO: Final = 30
_ASKED: Final = ("/healthz", "/readyz", "/metrics", "/api/status")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(int(_SECONDS) + 240)]


@dataclass(slots=True)
class _Reader:
    """Somebody who asks for every page again and again, and now and then for a run."""

    address: str
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    def read_until(self, is_over: threading.Event) -> None:
        with httpx.Client(base_url=f"http://{self.address}", timeout=60) as client:
            rounds = 0
            while not is_over.wait(0.01):
                for path in _ASKED:
                    self.answers[path, client.get(path).status_code] += 1
                rounds += 1
                if rounds % 50 == 0:
                    self.answers["/api/resync", client.post("/api/resync").status_code] += 1


@dataclass(slots=True)
class _Measured:
    """What a process took, over time."""

    megabytes: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def measure(self, process: psutil.Process) -> None:
        self.megabytes.append(process.memory_info().rss / 2**20)
        self.handles.append(process.num_fds())
        self.threads.append(process.num_threads())

    def thirds(self, values: list[float] | list[int]) -> tuple[list[float], list[float]]:
        """The middle and the last third of what was measured; in the first a process is still getting going."""
        third = len(values) // 3
        return [*values[third : 2 * third]], [*values[2 * third :]]


@contextmanager
def _meanwhile(*works: tuple[threading.Event, threading.Thread]) -> Iterator[None]:
    for _, thread in works:
        thread.start()
    try:
        yield
    finally:
        for is_over, thread in works:
            is_over.set()
            thread.join(60)


def _working(target: object, is_over: threading.Event) -> tuple[threading.Event, threading.Thread]:
    return is_over, threading.Thread(target=target, args=(is_over,))  # type: ignore[arg-type]


def test_a_daemon_without_rest_grows_no_larger_and_has_everybody_in_step_at_the_end(
    tmp_path: Path, postgres_url: str
) -> None:
    seed = random.randrange(10**6)
    sys.stdout.write(f"\nseed {seed}\n")
    engine = create_engine(postgres_url)
    mis, chance = BusyMis(engine, random.Random(seed)), Chance(_FAULTS, random.Random(seed + 1))
    with Simulator(Switches(limiter=LimiterShape.OFF), SEED) as simulator:
        let_it_fail(simulator, chance)
        address = free_address()
        syncd = _syncd(tmp_path, simulator, postgres_url, address)
        reader, measured = _Reader(address), _Measured()
        with syncd.start("run") as daemon:
            wait_until_it_listens(daemon, address)
            with _meanwhile(
                _working(mis.edit_until, threading.Event()), _working(reader.read_until, threading.Event())
            ):
                _watch(daemon, measured)
            in_doubt_on_the_way = sum(event["event"] == "change_in_doubt" for event in daemon.events)
            chance.rate = 0.0
            wait_until(lambda: accounts(simulator)[1] == mis.people(), f"everybody to be in step (seed {seed})")
            wait_until(lambda: syncd("status", "--json").json["in_doubt"] == 0, f"nothing to be in doubt (seed {seed})")
            finished = daemon.terminate()
        how_many, _ = accounts(simulator)
        held = syncd("held", "--json").json
    engine.dispose()

    _tell(measured, finished, mis, chance, reader)
    assert finished.exit == Exit.IN_STEP, finished.stderr[-2000:]
    assert "Traceback" not in finished.stderr
    assert set(how_many.values()) == {1}, f"somebody is there twice (seed {seed})"
    assert held == []
    assert in_doubt_on_the_way, "no answer was lost, so this shows little"
    _assert_no_overlap(finished)
    assert {status for path, status in reader.answers if path != "/api/resync"} == {200}
    assert {status for path, status in reader.answers if path == "/api/resync"} <= {202}
    middle, last = measured.thirds(measured.megabytes)
    assert median(last) <= median(middle) * (1 + _MAY_GROW_BY), "memory grows"
    middle, last = measured.thirds(measured.handles)
    assert max(last) <= max(middle) + _HANDLES_THAT_COME_AND_GO, "file handles are not given back"
    middle, last = measured.thirds(measured.threads)
    assert max(last) <= max(middle) + _HANDLES_THAT_COME_AND_GO, "threads do not end"


def _syncd(folder: Path, simulator: Simulator, mis_url: str, address: str) -> Syncd:
    return Syncd(
        folder / "syncd",
        simulator.customer_token,
        {
            "onefile": {
                "base_url": simulator.base_url,
                "organisation_id": ORGANISATION,
                "calls_per_minute": UNHURRIED,
                "settle_seconds": 1,
                "timeout_seconds": 5,
            },
            "source": {"url": mis_url},
            "state": {"url": "sqlite:///state.db"},
            "schedule": {"poll": "1s", "verify": "20s", "quiet": []},
            "guard": {"floor": 100_000},
            "leavers": {"action": "archive", "grace_days": 0},
            "admin": {"listen": address},
        },
        FEED,
    )


def _watch(daemon: Running, measured: _Measured) -> None:
    process = psutil.Process(daemon.process.pid)
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        assert daemon.process.poll() is None, daemon.stderr.read_text(encoding="utf-8")[-2000:]
        measured.measure(process)
        time.sleep(_BETWEEN_MEASUREMENTS_SECONDS)


def _assert_no_overlap(finished: Finished) -> None:
    at_work = None
    for event in finished.events:
        if event["event"] == "run_started":
            assert at_work is None, f"run {event['run']} began while run {at_work} was at work"
            at_work = event["run"]
        elif event["event"] == "run_finished":
            assert event["run"] == at_work
            at_work = None
    assert at_work is None


def _tenths(values: Sequence[float]) -> list[Sequence[float]]:
    size = len(values) // 10
    return [values[size * tenth : size * (tenth + 1)] for tenth in range(10)]


def _tell(measured: _Measured, finished: Finished, mis: BusyMis, chance: Chance, reader: _Reader) -> None:
    events = Counter(event["event"] for event in finished.events)
    ends = Counter(event["state"] for event in finished.events if event["event"] == "run_finished")
    triggers = Counter(event["trigger"] for event in finished.events if event["event"] == "run_started")
    figures = {
        "seconds": _SECONDS,
        **{
            name: {
                "first": round(values[0], 1),
                "medians by tenth of the time": [round(median(tenth), 1) for tenth in _tenths(values)],
                "middle third": [round(min(middle), 1), round(median(middle), 1), round(max(middle), 1)],
                "last third": [round(min(last), 1), round(median(last), 1), round(max(last), 1)],
            }
            for name, values in (
                ("megabytes", measured.megabytes),
                ("handles", measured.handles),
                ("threads", measured.threads),
            )
            for middle, last in [measured.thirds(values)]
        },
        "runs": {"by trigger": triggers, "by end": ends},
        "log": events,
        "edits": mis.edits,
        "calls": chance.met,
        "answers to the reader": {f"{path} {status}": count for (path, status), count in reader.answers.items()},
    }
    sys.stdout.write(json.dumps(figures) + "\n")
