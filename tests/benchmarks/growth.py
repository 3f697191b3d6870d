"""A state store that has grown for years: filled at once, asked what daemons, commands and pages ask it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy import Connection, event, text

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.run import POLLS, RunState, Trigger
from syncd.state import accounts, approvals, changes, held_records, references, resync_requests, retention, runs
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.views import audit, daily_totals, report, run_list, search, status
from syncd.web.metrics import Metrics
from tests.support.sessions import session_on

from .college import ORGANISATION
from .contenders import Hollow
from .learners import driver_url, misid_of

NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
_YEARS: Final = timedelta(days=800)
_VALUES: Final = '{"MISID":"L0000001","FirstName":"Aisha","LastName":"Ashby","Email":"l0000001@students.example.org"}'
_FINGERPRINT: Final = "f" * 32
#: Of so many polls one finds something to send.
_QUIET: Final = 10
#: Somebody of whom there are changes, wherever in the table they are.
_SOMEBODY: Final = misid_of(77)


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is of everything."""

    accounts: int = 200_000
    changes: int = 10_000_000
    runs: int = 200_000


@dataclass(frozen=True, slots=True)
class Asked:
    """How long one question takes, and what the database reads from end to end for it."""

    question: str
    median_seconds: float
    seen: int
    read_whole: tuple[str, ...]


Question = Callable[[Store], int]


def fill(url: str, size: Size) -> None:
    """Put it all into a PostgreSQL store whose schema is current, as a stream."""
    step = _YEARS / size.changes
    with psycopg.connect(driver_url(url)) as connection:
        cursor = connection.cursor()
        names = "organisation_id, role, misid, user_id, status, feed, values, fingerprint, created_at, synced_at"
        with cursor.copy(f"COPY account ({names}) FROM STDIN".encode()) as copy:
            for number in range(1, size.accounts + 1):
                row = (ORGANISATION, "Learner", misid_of(number), number, "active", "learners", _VALUES, _FINGERPRINT)
                copy.write_row((*row, NOW, NOW))
        names = (
            "id, organisation_id, trigger, state, started_at, finished_at, creates, updates, leavers, archivings,"
            " unapproved_leavers, returners, held, warnings, unchanged, applied, refused, in_doubt, queued, calls,"
            " reason, onefile_status, is_full"
        )
        apart = _YEARS / size.runs
        with cursor.copy(f"COPY run ({names}) FROM STDIN".encode()) as copy:
            for number in range(1, size.runs + 1):
                at = NOW - _YEARS + number * apart
                sent = 5 if number % _QUIET == 0 else 0
                counts = (0, sent, 0, 0, 0, 0, 0, 0, size.accounts, sent, 0, 0, 0, sent)
                copy.write_row(
                    (number, ORGANISATION, "schedule", "finished", at, at, *counts, "", "ok" if sent else "", True)
                )
        names = (
            "run_id, at, organisation_id, role, misid, user_id, action, fields, outcome, attempts, concluded_at,"
            " http_status, detail, message, is_approved"
        )
        with cursor.copy(f"COPY change ({names}) FROM STDIN".encode()) as copy:
            for number in range(1, size.changes + 1):
                at = NOW - _YEARS + number * step
                run = 1 + number * (size.runs - 1) // size.changes
                who = 1 + number * 7919 % size.accounts
                kind = ("update", '["Telephone"]', "applied", 1, at, 204)
                copy.write_row((run, at, ORGANISATION, "Learner", misid_of(who), who, *kind, _VALUES, "", False))
        cursor.execute("SELECT setval('run_id_seq', (SELECT max(id) FROM run))")
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")


def ask(url: str, size: Size, rounds: int, tell: Callable[[Asked], None] = lambda _asked: None) -> list[Asked]:
    """Ask all the questions. Raises `Hollow` when one finds nothing."""
    store = Store(url, ValueCipher())
    told = []
    try:
        for name, question in QUESTIONS.items():
            seconds, seen = [], 0
            with statements_of(store) as statements:
                question(store)
            for _ in range(rounds):
                began = perf_counter()
                seen = question(store)
                seconds.append(perf_counter() - began)
            if not seen:
                raise Hollow(f"{name} finds nothing among {size}")
            told.append(Asked(name, round(median(seconds), 6), seen, read_whole(store, statements)))
            tell(told[-1])
    finally:
        store.close()
    return told


def read_whole(store: Store, statements: list[tuple[str, Any]], *, if_it_must: bool = False) -> tuple[str, ...]:
    """The tables that the database reads from end to end for these; with ``if_it_must`` only where it has no index."""
    return _read(store, statements, lambda scan: scan.endswith("Seq Scan"), if_it_must=if_it_must)


def read_in_rows(store: Store, statements: list[tuple[str, Any]]) -> tuple[str, ...]:
    """The tables of which it must read the rows themselves, as no index has all that is asked for."""
    return _read(store, statements, lambda scan: scan not in {"Index Only Scan", "Bitmap Index Scan"}, if_it_must=True)


def _read(
    store: Store, statements: list[tuple[str, Any]], is_meant: Callable[[str], bool], *, if_it_must: bool
) -> tuple[str, ...]:
    found: set[str] = set()
    with store.engine.connect() as connection:
        if if_it_must:
            connection.execute(text("SET enable_seqscan = off"))
            connection.execute(text("SET enable_bitmapscan = off"))
        for statement, parameters in statements:
            if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
                (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).one()
                found |= {table for scan, table in _scans(plan[0]["Plan"]) if is_meant(scan)}
        connection.rollback()
        connection.invalidate()
    return tuple(sorted(found))


def _scans(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each table that is read, and how."""
    if plan["Node Type"].endswith("Scan") and "Relation Name" in plan:
        yield plan["Node Type"], plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from _scans(part)


@contextmanager
def statements_of(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """The statements that the store is asked meanwhile, with their parameters."""
    made: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        made.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(store.engine, "before_cursor_execute", note)


def _status(connection: Connection) -> int:
    return sum(status.status(session_on(connection, ORGANISATION)).accounts.values())


def _history(connection: Connection) -> int:
    return len(changes.history(session_on(connection, ORGANISATION), _SOMEBODY))


def _page(connection: Connection) -> int:
    status.status(session_on(connection, ORGANISATION))
    days = daily_totals.days(connection, ORGANISATION, NOW, ZoneInfo("Europe/London"), 30)
    rows = run_list.listing(connection, [ORGANISATION], run_list.RunFilter(), first=0, most=8)
    return len(days) + len(rows)


def _runs_page(connection: Connection) -> int:
    rows = run_list.listing(connection, [ORGANISATION], run_list.RunFilter(), first=50, most=50)
    return len(rows) and run_list.count(connection, [ORGANISATION], run_list.RunFilter())


def _run_page(connection: Connection) -> int:
    last = runs.last(session_on(connection, ORGANISATION))
    number = (last.id if last else 0) // 2 // _QUIET * _QUIET
    rows = run_list.changes_of(session_on(connection), number, action="update", outcome="applied", first=0, most=50)
    return sum(sum(counts.values()) for counts in run_list.outcomes(connection, number).values()) and len(rows)


def _one_looked_for(connection: Connection) -> int:
    return len(search.exactly(connection, [ORGANISATION], search.SearchTerms(_SOMEBODY)))


def _some_looked_for(connection: Connection) -> int:
    _, count = search.find(connection, [ORGANISATION], search.SearchTerms("0077"), first=0, most=50)
    return count


def _people_page(connection: Connection) -> int:
    _, count = search.find(connection, [ORGANISATION], search.SearchTerms(), first=0, most=50)
    return count


def _report(connection: Connection) -> int:
    month = report.report(session_on(connection), [ORGANISATION], NOW - timedelta(days=30), NOW)
    return sum(each.count for each in month.changes)


def _trail(store: Store) -> int:
    return sum(1 for _ in audit.between(store, [ORGANISATION], NOW - _YEARS, NOW, _SOMEBODY))


def _scrape(store: Store) -> int:
    return len(Metrics(store, [ORGANISATION], lambda: NOW).scrape())


def _requests(connection: Connection) -> int:
    resync_requests.organisations_waiting(connection)
    return 1 + len(resync_requests.waiting(session_on(connection, ORGANISATION)))


def _reads_of_a_poll(connection: Connection) -> int:
    held_records.refused(session_on(connection, ORGANISATION))
    references.looked_up(session_on(connection, ORGANISATION, NOW))
    changes.unsettled(session_on(connection, ORGANISATION, cipher=ValueCipher()))
    runs.unreachable_since(session_on(connection, ORGANISATION))
    approvals.in_force(session_on(connection, ORGANISATION, NOW), ["schedule"])
    return sum(accounts.count_by_feed(session_on(connection, ORGANISATION)).values())


def _writes_of_a_poll(connection: Connection) -> int:
    number = runs.start(session_on(connection, ORGANISATION, NOW), Trigger.SCHEDULE, is_full=True)
    approvals.supersede_waiting(session_on(connection, ORGANISATION, NOW), POLLS)
    approvals.end_older(session_on(connection, ORGANISATION, NOW), POLLS, 1)
    runs.finish(session_on(connection, at=NOW), number, RunState.FINISHED)
    return 1


def _known(connection: Connection) -> int:
    return len(accounts.known(session_on(connection, ORGANISATION)))


def _values(connection: Connection) -> int:
    keys = [Key(ORGANISATION, Role.LEARNER, misid_of(number)) for number in range(1, 201)]
    return len(accounts.values(session_on(connection, cipher=ValueCipher()), keys))


def _in(look: Callable[[Connection], int]) -> Question:
    def question(store: Store) -> int:
        with store.begin() as connection:
            return look(connection)

    return question


def _purge(batches: int) -> Question:
    def question(store: Store) -> int:
        asked = iter([False] * batches)
        return retention.purge(store, [ORGANISATION], NOW, timedelta(days=400), lambda: next(asked, True))

    return question


QUESTIONS: Final[dict[str, Question]] = {
    "status": _in(_status),
    "history of a person": _in(_history),
    "changes of a person, by day": _trail,
    "overview page": _in(_page),
    "runs page": _in(_runs_page),
    "page of a run": _in(_run_page),
    "people page": _in(_people_page),
    "people page, one looked for": _in(_one_looked_for),
    "people page, by part of a MISID": _in(_some_looked_for),
    "metrics": _scrape,
    "report of a month": _in(_report),
    "is anybody asking": _in(_requests),
    "reads of a poll, accounts aside": _in(_reads_of_a_poll),
    "writes of a poll that finds nothing": _in(_writes_of_a_poll),
    "every account, without its values": _in(_known),
    "the values of 200 accounts": _in(_values),
    "purge, one batch of 500": _purge(1),
    "purge, 21 batches of 500": _purge(21),
}


def bytes_of(url: str) -> dict[str, int]:
    """What the tables take on the disk, their indexes with them."""
    with psycopg.connect(driver_url(url)) as connection:
        sizes = connection.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relname IN ('account', 'change', 'run')"
        )
        return {str(name): int(size) for name, size in sizes}


def document(size: Size, asked: list[Asked], sizes: dict[str, int]) -> dict[str, Any]:
    """All of it, for JSON."""
    return {"size": asdict(size), "bytes": sizes, "asked": [asdict(each) for each in asked]}
