"""A college to measure: an MIS with learners, a state store that is in step with it or empty, a configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from threading import Event
from typing import Any, Final, Self

import structlog

from syncd.core.accounts import Status
from syncd.core.fields import Referent, Role
from syncd.core.records import Code, Record, stamped
from syncd.core.references import LookedUp, References
from syncd.settings import Settings, load_settings
from syncd.simulator import CUSTOMER_TOKEN
from syncd.state import references
from syncd.state.db.tables import account
from syncd.sync.context import SyncContext
from syncd.sync.feeds import read_feeds
from syncd.wiring.context import open_context
from syncd.wiring.store import open_store
from tests.support.sessions import session_on

from .learners import ASSESSORS, CLASSES, FEED, PLACEMENTS, misid_of

ORGANISATION: Final = 5740

_CONFIGURATION = """
[onefile]
base_url = "{onefile}"
organisation_id = {organisation}
customer_token_file = "customer-token"
calls_per_minute = {calls_per_minute}
[source]
url = "{source}"
[state]
url = "{state}"
[guard]
percent = 100
percent_day = 1000
percent_week = 1000
field_percent = 100
[schedule]
poll = "{poll}"
quiet = []
[admin]
listen = "{admin}"
[[feeds]]
name = "learners"
role = "Learner"
query_file = "learners.sql"
"""

_FIRST_CLASS, _FIRST_PLACEMENT, _FIRST_ASSESSOR, _FIRST_LEARNER = 1_000, 2_000, 300_001, 400_001

#: What the codes of the feed stand for in OneFile.
IDS: Final = {
    **{Code(Referent.CLASSROOM, "Name", name): number for number, name in enumerate(CLASSES, _FIRST_CLASS)},
    **{Code(Referent.PLACEMENT, "Name", name): number for number, name in enumerate(PLACEMENTS, _FIRST_PLACEMENT)},
    **{Code(Referent.ASSESSOR, "MISID", misid): number for number, misid in enumerate(ASSESSORS, _FIRST_ASSESSOR)},
}
_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class College:
    """Where everything of it is; a process that measures is told so, and opens what it needs."""

    folder: Path
    source: str
    """The URL of its MIS."""
    state: str
    """The URL of its state store."""
    onefile: str = "http://127.0.0.1:9/api/v2.1"
    """The simulator's base URL; by default one that nobody serves, for those who are not to call."""
    admin: str = ""
    calls_per_minute: int = 300
    organisation: int = ORGANISATION
    customer_token: str = CUSTOMER_TOKEN
    poll: str = "15m"

    def laid_out(self) -> Self:
        """The same, with its files written, before any process measures it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "customer-token").write_text(self.customer_token, encoding="utf-8")
        (self.folder / "state-url").write_text(self.state, encoding="utf-8")
        (self.folder / "learners.sql").write_text(FEED, encoding="utf-8")
        self.file.write_text(
            _CONFIGURATION.format(
                onefile=self.onefile,
                organisation=self.organisation,
                calls_per_minute=self.calls_per_minute,
                source=self.source,
                state=self.state,
                poll=self.poll,
                admin=self.admin,
            ),
            encoding="utf-8",
        )
        return self

    @property
    def settings(self) -> Settings:
        """Its configuration."""
        return load_settings(self.file)

    @contextmanager
    def context(self) -> Iterator[SyncContext]:
        """All that a pass needs, as the daemon opens it; the log is left out."""
        settings = self.settings
        log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger("critical"))
        store = open_store(settings, may_create=True)
        try:
            with open_context(settings, store, log, Event()) as context:
                yield context
        finally:
            store.close()

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / "syncd.toml"


def seed(organisation: int = ORGANISATION) -> dict[str, Any]:
    """What the simulator is to hold so that every code of the feed stands for something."""
    place = {"OrganisationID": organisation}
    return {
        "organisations": [{"ID": organisation, "Name": "Example"}],
        "classrooms": [
            place | {"ID": number, "Name": code.text}
            for code, number in IDS.items()
            if code.referent is Referent.CLASSROOM
        ],
        "placements": [
            place | {"ID": number, "Name": code.text}
            for code, number in IDS.items()
            if code.referent is Referent.PLACEMENT
        ],
        "users": [
            place | {"ID": number, "Role": 5, "MISID": code.text, "FirstName": "Siân", "LastName": "Pryce"}
            for code, number in IDS.items()
            if code.referent is Referent.ASSESSOR
        ],
    }


def residents(learners: int, organisation: int = ORGANISATION) -> list[dict[str, Any]]:
    """The learners as OneFile has them once `put_in_step` says that it does."""
    return [
        {
            "OrganisationID": organisation,
            "ID": number,
            "Role": 1,
            "MISID": misid_of(number - _FIRST_LEARNER + 1),
            "FirstName": "Ann",
            "LastName": "Example",
        }
        for number in range(_FIRST_LEARNER, _FIRST_LEARNER + learners)
    ]


def look_up_codes(context: SyncContext) -> None:
    """Have the store know what the codes of the feed stand for, as after any run."""
    now = context.clock()
    found = {code: LookedUp(onefile_id, now) for code, onefile_id in IDS.items()}
    with context.store.begin() as connection:
        references.save(session_on(connection, context.organisation_id, now), found)


def put_in_step(context: SyncContext) -> int:
    """Write an account for every record that the feed has now, as if OneFile had taken them all; gives how many.

    It goes round OneFile and the journal, because a million calls take days. Whether it is what a run leaves behind is
    for the next run to say: it must find everybody unchanged.
    """
    look_up_codes(context)
    secret, cipher, now = context.store.cipher.fingerprint_secret, context.store.cipher, context.clock()
    known = References({}, frozenset(), IDS)
    numbers = count(_FIRST_LEARNER)

    def row_of(record: Record) -> dict[str, Any]:
        ids = known.ids(record)
        key = record.key
        return {
            "organisation_id": key.organisation_id,
            "role": key.role,
            "misid": key.misid,
            "user_id": next(numbers),
            "status": Status.ACTIVE,
            "feed": record.feed,
            "values": cipher.encrypt(record.fields | ids),
            "fingerprint": stamped(record.fingerprint(secret), ids),
            "created_at": now,
            "synced_at": now,
        }

    read = read_feeds(context)
    records = (record for record in read if isinstance(record, Record) and record.key.role is Role.LEARNER)
    written = 0
    while rows := [row_of(record) for record in islice(records, _AT_ONCE)]:
        with context.store.begin() as connection:
            connection.execute(account.insert(), rows)
        written += len(rows)
    return written
