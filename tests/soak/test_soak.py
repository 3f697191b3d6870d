"""A daemon that works for a while without rest: every second a poll, an MIS edited all the time, a OneFile that fails,
and somebody who never stops asking how it is.

It takes as many seconds as ``SYNCD_SOAK_SECONDS`` says. ``pytest -s`` shows what it has measured. A process
that is busy has a little more memory at one time than at another; one that grows all the time shows here.
"""

import json
import os
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import httpx
import psutil
import pytest
from sqlalchemy import create_engine

from syncd.simulator import LimiterShape, Simulator, Switches
from tests.support.addresses import free_address
from tests.support.command import UNHURRIED, Exit, Finished, Running, Syncd
from tests.support.guard import HIGHEST_LIMITS
from tests.support.polling import wait_until

from .college import FEED, ORGANISATION, SEED, BusyMis, Chance, accounts, let_it_fail

_SECONDS: Final = float(os.environ.get("SYNCD_SOAK_SECONDS", "45"))
_FAULTS: Final = 0.02
_BETWEEN_MEASUREMENTS_SECONDS: Final = 0.5
#: Part of what it has in the middle third of the time that a process may have more of in the last. Over five minutes
#: the number of its objects is constant, and the allocators' share grows in steps of 4 to 5 MB.
#: That no run keeps anything of an earlier one is the subject of tests/sync/test_memory.py.
_MAY_GROW_BY: Final = 0.08
#: How many handles, and threads, it may have more of in the last third while it does least.
_COME_AND_GO: Final = 4
_FOR_PROGRAMS: Final = ("/healthz", "/readyz", "/metrics", "/api/status")
_SOMEBODY: Final = "/people/Learner/L1"
_FOR_PEOPLE: Final = (
    "/",
    "/held",
    "/held?list=left-out",
    "/runs",
    "/runs?all=yes",
    "/people",
    "/people?q=L1",
    _SOMEBODY,
)
#: With what the next run would do, for which the MIS is read.
_EXPLAINED: Final = f"{_SOMEBODY}?explain=yes"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(int(_SECONDS) + 240)]


@dataclass(slots=True)
class _Reader:
    """A monitor and a browser that ask for everything again and again, and now and then for a run."""

    address: str
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    def read_until(self, is_over: threading.Event) -> None:
        with self._client() as monitor, self._client() as browser:
            for rounds in count(1):
                if is_over.wait(0.01):
                    return
                for path in _FOR_PROGRAMS:
                    self._ask(monitor, path)
                newest = monitor.get("/api/status").json()["last_run"]["run"]
                for path in (*_FOR_PEOPLE, f"/runs/{newest}"):
                    self._ask(browser, path)
                if rounds % 20 == 0:
                    self._ask(browser, _EXPLAINED)
                    self._ask(monitor, "/api/resync", "POST")

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://{self.address}", timeout=60, follow_redirects=True)

    def _ask(self, client: httpx.Client, path: str, method: str = "GET") -> None:
        kind = "/runs/…" if path.startswith("/runs/") else path
        self.answers[kind, client.request(method, path).status_code] += 1


def _approve_until(address: str, is_over: threading.Event) -> None:
    """An operator who approves each run that is stopped.

    Accounts that were created without approval in the last seven days do not raise the limits. A college that replaces
    all of its people within minutes has no others left, and then no limit lets anything through.
    """
    with httpx.Client(base_url=f"http://{address}", timeout=60) as operator:
        while not is_over.wait(_BETWEEN_MEASUREMENTS_SECONDS):
            if waiting := operator.get("/api/status").json()["awaiting_approval"]:
                answer = operator.post(f"/api/runs/{waiting['run']}/approve")
                # Since the status was read, a newer run may have been stopped in its place.
                assert answer.status_code in {200, 409}, answer.text


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
def _meanwhile(*works: Callable[[threading.Event], None]) -> Iterator[None]:
    """Have others work until the block is over; what goes wrong with them is raised then."""
    is_over = threading.Event()
    with ThreadPoolExecutor(len(works)) as pool:
        ends = [pool.submit(work, is_over) for work in works]
        try:
            yield
        finally:
            is_over.set()
        for end in ends:
            end.result(60)


def test_busy_daemon_does_not_grow_and_has_all_accounts_in_sync_at_the_end(tmp_path: Path, postgres_url: str) -> None:
    seed = random.randrange(10**6)
    sys.stdout.write(f"\nseed {seed}\n")
    engine = create_engine(postgres_url)
    mis, chance = BusyMis(engine, random.Random(seed)), Chance(_FAULTS, random.Random(seed + 1))
    with Simulator(Switches(limiter=LimiterShape.OFF), SEED) as simulator:
        let_it_fail(simulator, chance)
        address = free_address()
        syncd = _syncd(tmp_path, simulator, postgres_url, address)
        reader, measured = _Reader(address), _Measured()
        syncd.approve_first_run()
        with syncd.start("run") as daemon:
            daemon.wait_until_it_listens(address)
            daemon.wait_for_event("run_finished")
            with _meanwhile(partial(_approve_until, address)):
                with _meanwhile(mis.edit_until, reader.read_until):
                    _watch(daemon, measured)
                in_doubt_on_the_way = sum(event["event"] == "change_in_doubt" for event in daemon.events)
                chance.rate = 0.0
                wait_until(lambda: accounts(simulator)[1] == mis.people(), f"all accounts to be in sync (seed {seed})")
                wait_until(lambda: syncd("status", "--json").json["in_doubt"] == 0, f"no doubt left (seed {seed})")
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
    # A run that sends has many for as long as it does; what is never given back is there at any time.
    assert min(last) <= min(middle) + _COME_AND_GO, "file handles are not given back"
    middle, last = measured.thirds(measured.threads)
    assert min(last) <= min(middle) + _COME_AND_GO, "threads do not end"


def _syncd(folder: Path, simulator: Simulator, mis_url: str, address: str) -> Syncd:
    syncd = Syncd(
        folder / "syncd",
        simulator.customer_token,
        {
            "onefile": {
                "base_url": simulator.base_url,
                "organisation_id": ORGANISATION,
                "calls_per_minute": UNHURRIED,
                # Else a create in doubt for whose absence nothing speaks would wait for a day.
                "settle_seconds": 0,
                "timeout_seconds": 5,
            },
            "source": {"url": mis_url},
            "state": {"url": "sqlite:///state.db"},
            "schedule": {"poll": "1s", "verify": "20s", "quiet": []},
            "guard": dict(HIGHEST_LIMITS),
            "leavers": {"action": "archive", "grace_days": 0},
            "admin": {"listen": address},
        },
        FEED,
    )
    # What it takes is what it takes as a service.
    unit = Path(__file__).parents[2].joinpath("config", "syncd.service").read_text(encoding="utf-8")
    syncd.environment |= dict(re.findall(r"^Environment=(MALLOC_\w+)=(\S+)$", unit, re.MULTILINE))
    return syncd


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
        elif event["event"] in {"run_finished", "run_stopped"}:
            assert event["run"] == at_work
            at_work = None
    assert at_work is None


def _tenths(values: Sequence[float]) -> list[Sequence[float]]:
    size = len(values) // 10
    return [values[size * tenth : size * (tenth + 1)] for tenth in range(10)]


def _tell(measured: _Measured, finished: Finished, mis: BusyMis, chance: Chance, reader: _Reader) -> None:
    events = Counter(event["event"] for event in finished.events)
    ends = Counter(event["state"] for event in finished.events if event["event"] == "run_finished")
    ends["stopped"] = events["run_stopped"]
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
