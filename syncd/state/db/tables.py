"""The tables of the state store, as the newest migration leaves them."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, also on SQLite, which forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a moment that does not say its zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Say the zone again."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

account: Final = Table(
    "account",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", Integer, nullable=False),
    Column("role", String(20), nullable=False),
    Column("misid", String(255), nullable=False),
    Column("user_id", BigInteger, comment="empty while OneFile has accepted the create and not told the id"),
    Column("status", String(10), nullable=False),
    Column("feed", String(100), nullable=False),
    Column("values", Text, nullable=False, comment="what OneFile last accepted: JSON, encrypted when there is a key"),
    Column("fingerprint", String(32), nullable=False),
    Column("needs_recheck", Boolean, nullable=False, default=False, server_default=false()),
    Column("created_at", UtcDateTime, nullable=False),
    Column("synced_at", UtcDateTime, nullable=False),
    Column("left_at", UtcDateTime),
    UniqueConstraint("organisation_id", "role", "misid"),
    Index(None, "organisation_id", "user_id"),
    Index(None, "organisation_id", "misid", "role"),
    Index(None, "organisation_id", "role", "status", "feed"),
)

#: All runs but those that found nothing to send. Written out, for a database uses an index of some rows only where one
#: asks for them in the same words.
NOT_QUIET: Final = text("NOT (state = 'finished' AND applied = 0 AND refused = 0 AND in_doubt = 0)")

run: Final = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", Integer, nullable=False),
    Column("trigger", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("creates", Integer, nullable=False, default=0),
    Column("updates", Integer, nullable=False, default=0),
    Column("leavers", Integer, nullable=False, default=0),
    Column("returners", Integer, nullable=False, default=0),
    Column("held", Integer, nullable=False, default=0),
    Column("warnings", Integer, nullable=False, default=0),
    Column("unchanged", Integer, nullable=False, default=0),
    Column("applied", Integer, nullable=False, default=0),
    Column("refused", Integer, nullable=False, default=0),
    Column("in_doubt", Integer, nullable=False, default=0),
    Column("calls", Integer, nullable=False, default=0),
    Column("reason", Text, nullable=False, default=""),
    Column(
        "onefile", String(12), nullable=False, default="", comment="ok, unreachable, or empty when it was not asked"
    ),
    Column("approval_id", Integer, comment="what it runs under; no constraint, as the two refer to each other"),
    Column("sample", JSON, comment="some of what a stopped run would do: MISIDs and names of fields"),
    Column("asked_by", Text, nullable=False, default="", server_default=""),
    Column("settled_by", Text, nullable=False, default="", server_default=""),
    Column("drift", Integer, comment="accounts that a verify found other than they were left"),
    Column("problem", String(20), nullable=False, default="", server_default="", comment="of which kind it failed"),
    Column("is_whole", Boolean, nullable=False, default=False, server_default=false(), comment="about everybody"),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "state"),
    Index(None, "organisation_id", "onefile"),
    Index(None, "organisation_id", "started_at"),
    Index("ix_run_not_quiet", "organisation_id", "id", postgresql_where=NOT_QUIET, sqlite_where=NOT_QUIET),
    Index(None, "approval_id"),
)

change: Final = Table(
    "change",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("organisation_id", Integer, nullable=False),
    Column("role", String(20), nullable=False),
    Column("misid", String(255), nullable=False),
    Column("user_id", BigInteger),
    Column("action", String(10), nullable=False),
    Column("fields", JSON, nullable=False, comment="names only"),
    Column("outcome", String(10), nullable=False),
    Column("attempts", Integer, nullable=False, default=1),
    Column("concluded_at", UtcDateTime),
    Column("http_status", Integer),
    Column("detail", Text, nullable=False, comment="what was sent: JSON, encrypted when there is a key"),
    Column("message", Text, nullable=False, default="", comment="why it was refused, personal values taken out"),
    Index(None, "organisation_id", "misid"),
    # Reports count by these. As columns of it proper SQLite would take it for those who ask for one outcome.
    Index(None, "organisation_id", "at", postgresql_include=["role", "action", "outcome"]),
    Index(None, "organisation_id", "outcome"),
    Index(None, "run_id"),
    Index(None, "run_id", "action", "outcome"),
)

held: Final = Table(
    "held",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", Integer, nullable=False),
    Column("role", String(20), nullable=False),
    Column("misid", String(255), nullable=False),
    Column("feed", String(100), nullable=False),
    Column("row", Integer, nullable=False, default=0),
    Column("reason", String(30), nullable=False),
    Column("field", String(50), nullable=False),
    Column("detail", Text, nullable=False),
    Column("is_warning", Boolean, nullable=False, default=False),
    Column("fingerprint", String(32), nullable=False, default=""),
    Column("first_seen_at", UtcDateTime, nullable=False),
    UniqueConstraint(
        "organisation_id", "role", "misid", "feed", "row", "reason", "field", "is_warning", name="uq_held_entry"
    ),
)

approval: Final = Table(
    "approval",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("creates", Integer, nullable=False),
    Column("updates", Integer, nullable=False),
    Column("leavers", Integer, nullable=False),
    Column("approved_at", UtcDateTime, nullable=False),
    Column("approved_by", String(100), nullable=False),
    Column("lapses_at", UtcDateTime, nullable=False),
    Index(None, "run_id"),
)

resync_request: Final = Table(
    "resync_request",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", Integer, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("requested_by", String(100), nullable=False),
    Column("misids", JSON, nullable=False),
    Column("run_id", ForeignKey("run.id")),
    Index(None, "run_id", "organisation_id"),
)

credential: Final = Table(
    "credential",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", Integer, nullable=False),
    Column("role", String(20), nullable=False),
    Column("misid", String(255), nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("secret", Text, nullable=False, comment="username and first password: JSON, always encrypted"),
    Column("created_at", UtcDateTime, nullable=False),
)

assignment: Final = Table(
    "assignment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", Integer, nullable=False),
    Column("learner_misid", String(255), nullable=False),
    Column("role", String(20), nullable=False, comment="of whoever is assigned"),
    Column("user_misid", String(255), nullable=False),
    Column("learner_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("refusal", Text, nullable=False, default="", comment="OneFile's words, if it said no"),
    Column("sent_at", UtcDateTime, nullable=False),
    UniqueConstraint("organisation_id", "learner_misid", "role", "user_misid"),
    comment="who was assigned to whom, for OneFile does not tell",
)

reference: Final = Table(
    "reference",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", Integer, nullable=False),
    Column("referent", String(20), nullable=False),
    Column("by", String(10), nullable=False),
    Column("code", Text, nullable=False),
    Column("onefile_id", BigInteger, comment="empty when OneFile has nothing by this code"),
    Column("found_at", UtcDateTime, nullable=False),
    UniqueConstraint("organisation_id", "referent", "by", "code"),
)

pace: Final = Table(
    "pace",
    metadata,
    Column("token", String(32), primary_key=True, comment="a hash of the customer token"),
    Column("free_at", BigInteger, nullable=False, comment="microseconds since 1970 when the next call is due"),
    Column("minute", Integer, nullable=False, default=0, server_default="0"),
    Column("calls", Integer, nullable=False, default=0, server_default="0"),
    Column("calls_before", Integer, nullable=False, default=0, server_default="0"),
)

daemon: Final = Table(
    "daemon",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("next_run_at", UtcDateTime),
)

newcomer: Final = Table(
    "newcomer",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", Integer, nullable=False),
    Column("misid", String(255), nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    UniqueConstraint("organisation_id", "misid"),
    comment="MISIDs of which a person has said that they are somebody new",
)

owner: Final = Table(
    "owner",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="1: there is one"),
    Column("onefile", String(255), nullable=False, comment="the host of its API"),
    Column(
        "customer",
        String(32),
        nullable=False,
        default="",
        server_default="",
        comment="a hash of the customer token, empty before the first run",
    ),
    Column("noted_at", UtcDateTime, nullable=False),
    comment="whose accounts these are: UserIDs mean nothing anywhere else",
)

told: Final = Table(
    "told",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("address", String(32), primary_key=True, comment="a hash of the URL that was written to"),
    Column("subject", String(30), primary_key=True),
    Column("told_at", UtcDateTime, nullable=False),
    comment="what somebody was told and is still so, and when the last digest went",
)

ledger: Final = Table(
    "ledger",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("counter", String(20), primary_key=True),
    Column("label", String(50), primary_key=True),
    Column("number", Float, nullable=False),
    comment="what monitors count: it only ever grows, whatever is purged",
)

sweep: Final = Table(
    "sweep",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("circumstances", String(32), nullable=False, comment="a digest of all that rows were compared by"),
    Column("swept_at", UtcDateTime, nullable=False),
    Column("generation", Integer, nullable=False, comment="grows with all that makes them void"),
    comment="until when, and by what, polls may go by the chunks",
)

watermark: Final = Table(
    "watermark",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("feed", String(100), primary_key=True),
    Column("column", Text, nullable=False),
    Column("mark", JSON, nullable=False, comment="its type, and the highest value of it"),
    Column("risen_at", UtcDateTime, nullable=False),
    Column("key", Text, nullable=False, comment="the column of the MISID"),
    Column("keys", JSON, nullable=False, comment="MISIDs to ask for whatever theirs is"),
    Column("elsewhere", Integer, nullable=False, comment="how many rows other organisations had"),
    comment="from where to ask a feed for what has changed",
)

chunk: Final = Table(
    "chunk",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("feed", String(100), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("rows", Integer, nullable=False),
    Column("first", String(32), nullable=False, comment="a keyed hash of the first row"),
    Column("digest", String(32), nullable=False, comment="the same of all of them"),
    Column("ours", Integer, nullable=False, comment="how many are of this organisation"),
    Column("restless", JSON, nullable=False, comment="which rows may come to something new as they are, from 0"),
    Column("misids", JSON, nullable=False, comment="of each row; null where it is another organisation's"),
    Column("row_digests", Text, nullable=False, comment="16 characters of the keyed hash of each row"),
    comment="what the feeds gave at the last poll that went well, a thousand rows each",
)

signed_out: Final = Table(
    "signed_out",
    metadata,
    Column("session", String(32), primary_key=True, comment="a hash of what only this session has"),
    Column("until", UtcDateTime, nullable=False),
    comment="sessions that were ended before their time, for as long as they would have lasted",
)
