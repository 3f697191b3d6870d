"""What is measured, and the floors that it is measured against: each is set up once and then done again and again.

A contender gives how much it has seen or done in a round, so that nobody is quick by doing nothing.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, Final, TypeAlias

import httpx
import psycopg
from cryptography.fernet import Fernet
from sqlalchemy import make_url

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.run import Action, Outcome, Trigger
from syncd.mis.cursors import PAGE_SIZE
from syncd.state import accounts, changes, runs
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store
from syncd.sync.context import SyncContext
from syncd.sync.decide import decide
from syncd.sync.planner import make_plan
from syncd.sync.run import run_once
from syncd.sync.stored_plan import store_plan
from syncd.wiring.admin import open_admin
from tests.support.sessions import session_on

from .college import ORGANISATION, College
from .learners import FEED, change_some, driver_url, rows

Go: TypeAlias = Callable[[], int]
Contender: TypeAlias = Callable[[College], AbstractContextManager[Go]]

#: How many changes are kept, and pages fetched, in a round.
STORED: Final = 200
FETCHED: Final = 20


class Hollow(Exception):
    """Something was measured that did not do what it is measured for."""


@contextmanager
def bare_driver(college: College) -> Iterator[Go]:
    """The feed's rows fetched by pages with the driver alone: what any reading costs. It has the same in memory."""

    def go() -> int:
        with ExitStack() as stack:
            cursor: Any
            if make_url(college.source).get_backend_name() == "sqlite":
                database = make_url(college.source).database or ""
                cursor = stack.enter_context(closing(sqlite3.connect(database))).cursor()
            else:
                connection = stack.enter_context(psycopg.connect(driver_url(college.source)))
                cursor = stack.enter_context(connection.cursor("bare"))
            cursor.execute(FEED)
            seen = 0
            while page := cursor.fetchmany(PAGE_SIZE):
                seen += len(page)
            return seen

    with college.context():
        yield go


@contextmanager
def poll(college: College) -> Iterator[Go]:
    """A run in which nothing is new, as the daemon makes it: read, compared, written down; no call."""
    with college.context() as context:

        def go() -> int:
            with locked(context.store, context.organisation_id, Purpose.WRITING):
                done = run_once(context, Trigger.SCHEDULE)
            if done.calls or done.held or done.warnings or done.sent:
                raise Hollow(f"a poll with nothing new is not quiet: {done}")
            return done.unchanged

        yield go


@contextmanager
def diff(college: College) -> Iterator[Go]:
    """A plan when one row in a thousand is another one."""
    with college.context() as context:

        def go() -> int:
            planned = make_plan(context, asks_again=False, is_poll=True)
            return planned.plan.unchanged + len(planned.plan.updates)

        if not make_plan(context, asks_again=False, is_poll=True).plan.updates:
            raise Hollow("nothing differs")
        yield go


@contextmanager
def first_plan(college: College) -> Iterator[Go]:
    """The plan of a first run: everybody is to be created."""
    with college.context() as context:
        yield lambda: len(make_plan(context, asks_again=False).plan.creates)


@contextmanager
def stored_plan(college: College) -> Iterator[Go]:
    """The same plan, stored step by step and encrypted, as a run stores it that stops with it."""
    with college.context() as unencrypted:
        url = unencrypted.store.url.render_as_string(hide_password=False)
        context = replace(unencrypted, store=Store(url, ValueCipher(Fernet.generate_key().decode())))

        def go() -> int:
            with context.session() as session:
                number = runs.start(session, Trigger.COMMAND)
            decided = decide(context, make_plan(context, asks_again=False), Trigger.COMMAND)
            stored = store_plan(context, number, decided, decided.divided.split(sends_new=False))
            return stored.waiting

        yield go
        context.store.close()


@contextmanager
def send(college: College) -> Iterator[Go]:
    """A run in which everybody is another one: a call each, to the simulator, at the pace that OneFile allows."""
    with college.context() as context:

        def go() -> int:
            change_some(college.source, one_in=1)
            done = run_once(context, Trigger.COMMAND, approved_by="a benchmark")
            if done.sent != done.counts.updates:
                raise Hollow(f"not everything was sent: {done}")
            return done.sent

        yield go


@contextmanager
def journal(college: College) -> Iterator[Go]:
    """What the store does for each change that is sent: an intent, then the account and the outcome."""
    with college.context() as context:
        number = _begun(context)
        fresh = _fresh_learners()

        def go() -> int:
            store, now = context.store, context.clock
            for key, fields in (next(fresh) for _ in range(STORED)):
                with store.begin() as connection:
                    change = changes.record_intent(
                        session_on(connection, at=now(), cipher=store.cipher),
                        number,
                        key,
                        Action.CREATE,
                        fields,
                        user_id=None,
                        feed="learners",
                        fingerprint="f" * 32,
                    )
                with store.begin() as connection:
                    accounts.save(
                        session_on(connection, at=now(), cipher=store.cipher),
                        key,
                        user_id=change,
                        feed="learners",
                        accepted=fields,
                        fingerprint="f" * 32,
                    )
                    changes.record_outcome(
                        session_on(connection, at=now()), change, Outcome.APPLIED, http_status=200, user_id=change
                    )
            return STORED

        yield go


@contextmanager
def bare_inserts(college: College) -> Iterator[Go]:
    """The same rows and transactions with the driver alone, in tables of its own."""
    marks = {"sqlite": "?", "postgresql": "%s"}[make_url(college.state).get_backend_name()]
    fresh = _fresh_learners()
    with college.context() as context, closing(_bare_connection(college)) as connection:
        sealed = context.store.cipher.encrypt(next(fresh)[1])
        moment = "2026-11-25 12:00:00+00:00"
        connection.execute("DROP TABLE IF EXISTS bare_change")
        connection.execute("DROP TABLE IF EXISTS bare_account")
        connection.execute("CREATE TABLE bare_change (misid text, action text, at text, outcome text, detail text)")
        connection.execute(
            "CREATE TABLE bare_account (misid text PRIMARY KEY, user_id integer, fingerprint text, at text, kept text)"
        )
        connection.execute("CREATE INDEX bare_change_misid ON bare_change (misid)")
        change, conclusion, account = (
            statement.replace("?", marks)
            for statement in (
                "INSERT INTO bare_change VALUES (?, ?, ?, ?, ?)",
                "UPDATE bare_change SET outcome = ? WHERE misid = ?",
                "INSERT INTO bare_account VALUES (?, ?, ?, ?, ?)",
            )
        )

        def go() -> int:
            for key, _ in (next(fresh) for _ in range(STORED)):
                connection.execute("BEGIN")
                connection.execute(change, (key.misid, "create", moment, "pending", sealed))
                connection.execute("COMMIT")
                connection.execute("BEGIN")
                connection.execute(account, (key.misid, 1, "f" * 32, moment, sealed))
                connection.execute(conclusion, ("applied", key.misid))
                connection.execute("COMMIT")
            return STORED

        yield go


@contextmanager
def overview(college: College) -> Iterator[Go]:
    """The overview page, over the network."""
    with _visited(college, "/", "Accounts") as go:
        yield go


@contextmanager
def healthz(college: College) -> Iterator[Go]:
    """The least that the same server answers."""
    with _visited(college, "/healthz", "") as go:
        yield go


@contextmanager
def _visited(college: College, path: str, holds: str) -> Iterator[Go]:
    settings = college.settings
    origin = f"http://{college.admin}"
    with (
        college.context() as context,
        open_admin(lambda: settings, context.store, context.log, Event()),
        httpx.Client(base_url=origin, headers={"Accept": "text/html"}) as client,
    ):

        def go() -> int:
            for _ in range(FETCHED):
                answer = client.get(path)
                if answer.status_code != httpx.codes.OK or holds not in answer.text:
                    raise Hollow(f"{path} answers {answer.status_code}")
            return FETCHED

        yield go


def _begun(context: SyncContext) -> int:
    with context.store.begin() as connection:
        return runs.start(session_on(connection, context.organisation_id, context.clock()), Trigger.COMMAND)


def _fresh_learners() -> Iterator[tuple[Key, dict[str, Any]]]:
    """Somebody new each time, in whichever process."""
    (learner,) = rows(1)
    fields = {f"Field{number}": str(value) for number, value in enumerate(learner)}
    made = 0
    while True:
        made += 1
        yield Key(ORGANISATION, Role.LEARNER, f"N{made:09}"), fields


def _bare_connection(college: College) -> Any:
    url = make_url(college.state)
    if url.get_backend_name() == "sqlite":
        connection = sqlite3.connect(Path(url.database or ""), isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL").close()
        connection.execute("PRAGMA synchronous = FULL").close()
        return connection
    return psycopg.connect(driver_url(college.state), autocommit=True)
