"""A host for many customers: a daemon for each, all on one PostgreSQL server, and what they take of the machine."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any, Final

import httpx
import psutil
import psycopg
from sqlalchemy import make_url

from .contenders import Hollow
from .customers import Customer, Daemon, customers, daemons, elsewhere
from .databases import databases
from .learners import change_some, driver_url

_EVERY_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 600.0
#: A poll's work around its run, such as taking the lock, is done within so long of it.
_AROUND_A_POLL_SECONDS: Final = 0.3
#: More than any daemon may have, and a few for whoever else asks.
_CONNECTIONS_EACH: Final = 20
#: Of so many learners one is changed for the daemons to have something to send.
_ONE_IN: Final = 100
_MB: Final = 2**20

_MANY: Final = 300
_POLL_MINUTES: Final = 15


@dataclass(frozen=True, slots=True)
class Host:
    """How much there is of everything, and for how long it is looked at."""

    customers: int = 30
    learners: int = 2000
    poll_seconds: int = 10
    polls: int = 6
    """How often each daemon has polled at least while it was looked at."""
    takeovers: int = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, of each daemon."""

    what: str
    unit: str
    median: float
    lowest: float
    highest: float
    seen: int
    """Of how many."""


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    cpu: tuple[float, ...]
    """The seconds that each daemon has had so far."""
    connections: Counter[str]
    """How many PostgreSQL has to each database."""


@dataclass(slots=True)
class Measured:
    """All that was seen of a host."""

    host: Host
    load_before: float
    """Of the machine, by whoever else works there: how many processes wanted a CPU in the last minute."""
    figures: dict[str, Figure] = field(default_factory=dict)
    tell: Callable[[Figure], None] = lambda _figure: None

    def add(self, name: str, what: str, unit: str, values: Iterable[float]) -> None:
        """Take in one value of each daemon, or one of them all. Raises `Hollow` when there is none."""
        found = sorted(values)
        if not found:
            raise Hollow(f"nothing was seen of {what}")
        middle, lowest, highest = (round(each, 4) for each in (median(found), found[0], found[-1]))
        figure = Figure(what, unit, middle, lowest, highest, len(found))
        self.figures[name] = figure
        self.tell(figure)

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "host": asdict(self.host),
            "load_before": round(self.load_before, 2),
            "measured": {name: asdict(figure) for name, figure in self.figures.items()},
            "calculated": dict(calculated(self.figures)),
        }


def measure(host: Host, tell: Callable[[Figure], None] = lambda _figure: None) -> Measured:
    """Lay the customers out, start their daemons, and look. Raises `Hollow` when they do not do what they are for."""
    measured = Measured(host, os.getloadavg()[0], tell=tell)
    connections = host.customers * _CONNECTIONS_EACH
    with (
        databases(with_postgres=True, connections=connections) as (folder, make),
        customers(folder, make, host.customers, host.learners, f"{host.poll_seconds}s") as all_of_them,
        daemons([customer.college for customer in all_of_them]) as begun,
        psycopg.connect(driver_url(make("postgresql")), autocommit=True) as connection,
    ):
        watch = _Watch(begun, connection)
        _begin(measured, watch)
        _poll(measured, watch)
        _send(measured, watch, all_of_them)
        _take_over(measured, watch, all_of_them)
    return measured


class _Watch:
    """Looks at the daemons and at what they have of PostgreSQL."""

    def __init__(self, watched: Sequence[Daemon], connection: psycopg.Connection) -> None:
        self.daemons = watched
        self.connection = connection
        self._postgres = psutil.Process(psutil.Process(connection.info.backend_pid).ppid())

    def until(self, is_over: Callable[[], bool]) -> list[_Sample]:
        """Look again and again until it is over. Raises `Hollow` when that takes too long."""
        samples = [self.sample()]
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while not is_over():
            if time.monotonic() > give_up_at:
                raise Hollow(f"the daemons have not done it within {_PATIENCE_SECONDS:.0f} seconds")
            for _ in range(5):
                time.sleep(_EVERY_SECONDS)
                samples.append(self.sample())
        return samples

    def sample(self) -> _Sample:
        rows = self.connection.execute(
            "SELECT datname, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY datname"
        )
        return _Sample(
            time.time(), tuple(_cpu_seconds(each.pid) for each in self.daemons), Counter(dict(rows.fetchall()))
        )

    def cpu_of_postgres(self) -> float:
        """The seconds that the server has had, connections that have ended and those that there are together."""
        mine = self.connection.info.backend_pid
        times = self._postgres.cpu_times()
        alive = (_cpu_seconds(each.pid) for each in self._postgres.children() if each.pid != mine)
        return float(sum(times[:4])) + sum(alive)

    def memory_of_postgres(self) -> float:
        """In bytes, what its processes share counted once."""
        return float(sum(_memory(each.pid).pss for each in (self._postgres, *self._postgres.children())))


def _begin(measured: Measured, watch: _Watch) -> None:
    """They have all been started at once: until each has polled."""

    def have_polled() -> bool:
        return all(each.moments_of("run_finished") for each in watch.daemons)

    watch.until(have_polled)
    firsts = [each.moments_of("run_started")[0] for each in watch.daemons]
    measured.add(
        "begun",
        "All begun at once: the first poll is over after",
        "s",
        [each.moments_of("run_finished")[0] - each.began_at for each in watch.daemons],
    )
    measured.add(
        "cpu_to_begin", "CPU until then, the first poll too", "s", [_cpu_seconds(each.pid) for each in watch.daemons]
    )
    measured.add("firsts_at_once", "First polls begun within one second", "", [_most_within(1.0, firsts)])


def _poll(measured: Measured, watch: _Watch) -> None:
    """They poll, and find nothing new."""
    polls_before = [len(each.moments_of("run_finished")) for each in watch.daemons]

    def have_polled(times: int) -> Callable[[], bool]:
        def is_over() -> bool:
            return all(
                len(each.moments_of("run_finished")) >= before + times
                for each, before in zip(watch.daemons, polls_before, strict=True)
            )

        return is_over

    # The schedule's own times, each a little apart from the others', begin with the second poll.
    watch.until(have_polled(1))
    due = [_next_poll(each) for each in watch.daemons]
    postgres_before, began_at = watch.cpu_of_postgres(), time.time()
    samples = watch.until(have_polled(2 + measured.host.polls))
    postgres_share = (watch.cpu_of_postgres() - postgres_before) / (time.time() - began_at)

    polls = [_polls_of(each, measured.host.learners, due_at) for each, due_at in zip(watch.daemons, due, strict=True)]
    idle, at_work = _cpu_shares(samples, polls)
    measured.add("idle_cpu", "CPU between polls, of one", "%", [share * 100 for share in idle])
    measured.add("poll_cpu", "CPU of a poll", "ms", [seconds * 1000 for seconds in at_work])
    everything = [poll for of_one in polls for poll in of_one]
    measured.add("poll_takes", "A poll takes", "ms", [(end - begin) * 1000 for begin, end in everything])
    measured.add(
        "late",
        "A poll begins after it was due",
        "ms",
        [
            (begin - due_at - number * measured.host.poll_seconds) * 1000
            for of_one, due_at in zip(polls, due, strict=True)
            for number, (begin, _) in enumerate(of_one)
        ],
    )
    measured.add(
        "at_once", "Polls begun within one second", "", [_most_within(1.0, [begin for begin, _ in everything])]
    )
    of_each = _connections(watch.daemons, samples)
    measured.add("rest", "Connections to PostgreSQL between polls", "", [median(each) for each in of_each])
    measured.add("rest_most", "The same at the most, during polls", "", [max(each) for each in of_each])
    memory = [_memory(each.pid) for each in watch.daemons]
    measured.add("pss", "Memory, what is shared counted once (PSS)", "MB", [each.pss / _MB for each in memory])
    measured.add("uss", "Memory of its own (USS)", "MB", [each.uss / _MB for each in memory])
    measured.add("rss", "Memory, what is shared counted each time (RSS)", "MB", [each.rss / _MB for each in memory])
    count = measured.host.customers
    measured.add("postgres_cpu", "CPU of PostgreSQL meanwhile, for each", "%", [postgres_share / count * 100])
    measured.add("postgres_memory", "Memory of PostgreSQL, for each", "MB", [watch.memory_of_postgres() / _MB / count])


def _send(measured: Measured, watch: _Watch, all_of_them: Sequence[Customer]) -> None:
    """Some learners of every MIS change: their daemons send that, and each of them once."""
    for each in all_of_them:
        if each.onefile.journal.writes:
            raise Hollow("a daemon has sent something although nothing was new")
        change_some(each.college.source, _ONE_IN)
    expected = _changed(measured.host)
    told = [_told(each, expected) for each in all_of_them]
    samples = watch.until(lambda: all(is_told() for is_told in told))
    samples += watch.until(_polled_again(watch.daemons))
    _assert_told_once(all_of_them, 1, expected)
    measured.add(
        "sending",
        "Connections to PostgreSQL at the most, while it sends",
        "",
        [max(each) for each in _connections(watch.daemons, samples)],
    )
    after = watch.until(_polled_again(watch.daemons))
    measured.add(
        "rest_again",
        "Connections between polls after that",
        "",
        [median(each) for each in _connections(watch.daemons, after)],
    )


def _take_over(measured: Measured, watch: _Watch, all_of_them: Sequence[Customer]) -> None:
    """A second daemon waits for some, and goes on where the first is killed; who changes just then is told of once."""
    chosen = list(zip(all_of_them, watch.daemons, strict=True))[: measured.host.takeovers]
    if not chosen:
        return
    with daemons([elsewhere(customer.college) for customer, _ in chosen], "standby") as standbys:
        waiting = _Watch(standbys, watch.connection)
        waiting.until(lambda: all(_is_up(each) for each in standbys))
        samples = waiting.until(_after(measured.host.poll_seconds * measured.host.polls))
        took = samples[-1].at - samples[0].at
        measured.add(
            "standby_cpu",
            "CPU of one that waits for its turn, of one",
            "%",
            [(end - begin) / took * 100 for begin, end in zip(samples[0].cpu, samples[-1].cpu, strict=True)],
        )
        measured.add(
            "standby_rest",
            "Connections of both between polls",
            "",
            [median(each) for each in _connections(standbys, samples)],
        )
        memory = [_memory(each.pid) for each in standbys]
        measured.add("standby_pss", "Memory of one that waits (PSS)", "MB", [each.pss / _MB for each in memory])
        if any(each.moments_of("run_started") for each in standbys):
            raise Hollow("a daemon has polled that was to wait for its turn")
        leads, sent = [], []
        expected = _changed(measured.host)
        for (customer, daemon), standby in zip(chosen, standbys, strict=True):
            killed_at = daemon.kill()
            change_some(customer.college.source, _ONE_IN)
            waiting.until(_told(customer, 2 * expected))
            leads.append(standby.moments_of("daemon_started")[0] - killed_at)
            sent.append(customer.onefile.journal.writes[-1].at - killed_at)
        waiting.until(_polled_again(standbys))
        _assert_told_once([customer for customer, _ in chosen], 2, expected)
        measured.add("takes_over", "Killed: the one that waited leads after", "s", leads)
        measured.add("sent_after", f"Killed: {expected} changes of that moment are sent after", "s", sent)


def calculated(
    figures: dict[str, Figure], customers: int = _MANY, minutes: int = _POLL_MINUTES
) -> Iterator[tuple[str, str]]:
    """What so many customers would take, each polled every so many minutes, if each takes what was measured."""

    def each(name: str) -> float:
        return figures[name].median

    polls = customers * each("poll_cpu") / 1000 / (minutes * 60)
    own = customers * each("uss") + figures["pss"].seen * (each("pss") - each("uss"))
    yield "customers", f"{customers}, polled every {minutes} minutes"
    yield "CPU between polls", f"{customers * each('idle_cpu') / 100:.2f} CPUs"
    yield "CPU of polls", f"{polls:.3f} CPUs"
    yield "CPU of PostgreSQL, polled as often as measured", f"{customers * each('postgres_cpu') / 100:.2f} CPUs"
    yield "CPU to begin, all at once", f"{customers * each('cpu_to_begin'):.0f} s of a CPU"
    yield "memory of the daemons", f"{own / 1024:.1f} GB"
    yield "memory of PostgreSQL", f"{customers * each('postgres_memory') / 1024:.1f} GB"
    yield "connections between polls", f"{customers * each('rest'):.0f} to {customers * each('rest_again'):.0f}"
    yield "connections while all send", f"{customers * figures['sending'].highest:.0f}"


def _polls_of(daemon: Daemon, learners: int, since: float) -> list[tuple[float, float]]:
    """When its polls from then on began and ended. Raises `Hollow` when one has not gone by everybody."""
    begun = [at for at in daemon.moments_of("run_started") if at >= since]
    ended = [each for each in daemon.events() if each["event"] == "run_finished" and each["at"] >= since]
    if any(each["state"] != "finished" or each["unchanged"] != learners or each["calls"] for each in ended):
        raise Hollow("a poll with nothing new is not quiet")
    return [(begin, each["at"]) for begin, each in zip(begun, ended, strict=False)]


def _cpu_shares(
    samples: Sequence[_Sample], polls: Sequence[Sequence[tuple[float, float]]]
) -> tuple[list[float], list[float]]:
    """What each daemon takes of a CPU between its polls, and the seconds that one of its polls takes beyond that."""
    idle, at_work = [], []
    for number, of_one in enumerate(polls):
        cpu, took = {False: 0.0, True: 0.0}, {False: 0.0, True: 0.0}
        seen = [poll for poll in of_one if samples[0].at <= poll[0] and poll[1] <= samples[-1].at]
        around = [(begin - _AROUND_A_POLL_SECONDS, end + _AROUND_A_POLL_SECONDS) for begin, end in of_one]
        for before, after in pairwise(samples):
            is_busy = any(begin < after.at and before.at < end for begin, end in around)
            cpu[is_busy] += after.cpu[number] - before.cpu[number]
            took[is_busy] += after.at - before.at
        idle.append(cpu[False] / took[False])
        at_work.append((cpu[True] - idle[-1] * took[True]) / len(seen))
    return idle, at_work


def _connections(watched: Sequence[Daemon], samples: Sequence[_Sample]) -> list[list[int]]:
    """Of each daemon, how many it had whenever one looked."""
    names = [make_url(each.college.state).database or "" for each in watched]
    return [[sample.connections[name] for sample in samples] for name in names]


def _next_poll(daemon: Daemon) -> float:
    """When it is to poll next, by what it has noted for others to see."""
    with psycopg.connect(driver_url(daemon.college.state)) as connection:
        row = connection.execute("SELECT next_run_at FROM daemon").fetchone()
    if row is None or not isinstance(row[0], datetime):
        raise Hollow("a daemon does not say when it polls next")
    return row[0].timestamp()


def _polled_again(watched: Sequence[Daemon]) -> Callable[[], bool]:
    """Whether each has begun and ended another poll since this was called."""
    since = time.time()

    def is_over() -> bool:
        return all(sum(at > since for at in each.moments_of("run_finished")) > 1 for each in watched)

    return is_over


def _after(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def _is_up(daemon: Daemon) -> bool:
    """Whether it serves its endpoints, which it does from just before it first asks for the lead."""
    daemon.events()
    try:
        return httpx.get(f"http://{daemon.college.admin}/healthz").is_success
    except httpx.TransportError:
        return False


def _told(customer: Customer, changes: int) -> Callable[[], bool]:
    """Whether OneFile was told of so many changes."""
    return lambda: len(customer.onefile.journal.writes) >= changes


def _changed(host: Host) -> int:
    return -(-host.learners // _ONE_IN)


def _assert_told_once(all_of_them: Iterable[Customer], times: int, expected: int) -> None:
    """Raises `Hollow` when OneFile was told of a change more often, or of others than have changed."""
    for each in all_of_them:
        told = Counter(call.path for call in each.onefile.journal.writes)
        if set(told.values()) != {times} or len(told) != expected:
            raise Hollow(f"of {expected} people OneFile was to be told {times} times of each, and was told {told}")


def _most_within(seconds: float, moments: Iterable[float]) -> int:
    """How many lie within so long at the most."""
    ordered = sorted(moments)
    return max(sum(begin <= each < begin + seconds for each in ordered) for begin in ordered)


def _cpu_seconds(pid: int) -> float:
    """What a process has had of a CPU, to the nanosecond: of each Linux has a clock (`clock_getcpuclockid`)."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _memory(pid: int) -> Any:
    return psutil.Process(pid).memory_full_info()
