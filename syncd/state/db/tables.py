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
    """A time in UTC, also on SQLite, which does not store the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Add the zone again."""
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
    Column("user_id", BigInteger, comment="empty while OneFile has accepted a create without returning the id"),
    Column("status", String(10), nullable=False),
    Column("feed", String(100), nullable=False),
    Column("values", Text, nullable=False, comment="what OneFile last accepted: JSON, encrypted if a key is set"),
    Column(
        "corrections",
        JSON(none_as_null=True),
        comment="by field, a keyed hash of a value sent again and of OneFile's own, and whether that is reported",
    ),
    Column("fingerprint", String(32), nullable=False),
    Column("needs_recheck", Boolean, nullable=False, default=False, server_default=false()),
    Column("created_at", UtcDateTime, nullable=False),
    Column("synced_at", UtcDateTime, nullable=False),
    Column("left_at", UtcDateTime),
    Column("left_on_day", Integer, comment="the day of `complete_reading` on which its record was first missed"),
    UniqueConstraint("organisation_id", "role", "misid"),
    # A UserID is one account's among all organisations of the customer.
    Index(None, "user_id", "organisation_id"),
    Index(None, "organisation_id", "misid", "role"),
    Index(None, "organisation_id", "role", "status", "feed"),
)

account_mark: Final = Table(
    "account_mark",
    metadata,
    Column("account_id", ForeignKey("account.id"), primary_key=True, autoincrement=False),
    Column("mark", String(16), primary_key=True, comment="a keyed hash of values that identify a person"),
    Column("organisation_id", Integer, nullable=False),
    Column("is_person_key", Boolean, nullable=False, comment="of the MIS's own key of the person"),
    Index(None, "organisation_id", "mark"),
    comment="by which other accounts of the same person are found without their values",
)

#: All runs except those that had nothing to send. A database uses a partial
#: index only for a condition in the same words.
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
    Column("archivings", Integer, nullable=False, default=0),
    Column(
        "unapproved_leavers",
        Integer,
        nullable=False,
        default=0,
        comment="the leavers that it recorded and no approval covered",
    ),
    Column("returners", Integer, nullable=False, default=0),
    Column("held", Integer, nullable=False, default=0),
    Column("warnings", Integer, nullable=False, default=0),
    Column("unchanged", Integer, nullable=False, default=0),
    Column("applied", Integer, nullable=False, default=0),
    Column("refused", Integer, nullable=False, default=0),
    Column("in_doubt", Integer, nullable=False, default=0),
    Column("queued", Integer, nullable=False, default=0, comment="left unsent, because an action is suspended"),
    Column("calls", Integer, nullable=False, default=0),
    Column("reason", Text, nullable=False, default=""),
    Column(
        "onefile_status",
        String(12),
        nullable=False,
        default="",
        comment="ok, unreachable, or empty if OneFile was not called",
    ),
    Column("plan_run_id", Integer, comment="the run whose steps are its plan: itself, or an earlier one with the same"),
    Column(
        "plan_digest", String(32), nullable=False, default="", server_default="", comment="of the steps of its plan"
    ),
    Column("asked_by", Text, nullable=False, default="", server_default=""),
    Column("settled_by", Text, nullable=False, default="", server_default=""),
    Column("settled_at", UtcDateTime),
    Column("settled_reason", Text, nullable=False, default="", server_default=""),
    Column("drift", Integer, comment="accounts in which a verify found drift"),
    Column(
        "verify_scope", JSON(none_as_null=True), comment="which accounts a verify read back, and which still differ"
    ),
    Column("failure_kind", String(20), nullable=False, default="", server_default="", comment="the kind of failure"),
    Column("is_full", Boolean, nullable=False, default=False, server_default=false(), comment="every record was read"),
    Column("undone_run_id", Integer, comment="the run whose changes it takes back"),
    Index(None, "organisation_id", "id"),
    Index(None, "organisation_id", "state"),
    Index(None, "organisation_id", "onefile_status"),
    Index(None, "organisation_id", "started_at"),
    Index("ix_run_not_quiet", "organisation_id", "id", postgresql_where=NOT_QUIET, sqlite_where=NOT_QUIET),
    Index(None, "plan_run_id"),
)

plan_step: Final = Table(
    "plan_step",
    metadata,
    Column("run_id", ForeignKey("run.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("stage", Integer, nullable=False, comment="steps of one stage are sent at the same time; 0: takes no call"),
    Column("kind", String(10), nullable=False),
    Column("role", String(20), nullable=False),
    Column("misid", String(255), nullable=False),
    Column("other", String(255), nullable=False, comment="another MISID that it is about"),
    Column("fields", Text, nullable=False, comment="names, separated by commas"),
    Column("digest", String(32), nullable=False, comment="a keyed hash of key, action, fields and values"),
    Column("decision", String(10), nullable=False),
    Column("approval_id", Integer, comment="the approval that permits it"),
    Column("detail", Text, nullable=False, comment="the step, and the values before: JSON, encrypted if a key is set"),
    Index(None, "run_id", "kind", "role", "fields", "misid"),
    Index(None, "approval_id"),
    comment="the plans of the runs, step by step",
)

withheld_step: Final = Table(
    "withheld_step",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(32), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("misid", String(255), nullable=False),
    Column("is_rejected", Boolean, nullable=False, comment="otherwise it waits for a decision"),
    Column(
        "is_undone",
        Boolean,
        nullable=False,
        default=False,
        server_default=false(),
        comment="the digest is a mark of a change that was taken back",
    ),
    Column("decided_at", UtcDateTime, nullable=False),
    Index(None, "organisation_id", "misid"),
    comment="steps that are not sent although the MIS asks for them",
)

not_undone: Final = Table(
    "not_undone",
    metadata,
    Column("run_id", ForeignKey("run.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("role", String(20), nullable=False),
    Column("misid", String(255), nullable=False),
    Column("action", String(10), nullable=False),
    Column("fields", JSON, nullable=False, comment="names only"),
    Column("obstacle", String(100), nullable=False, comment="why it is not taken back"),
    comment="what the runs that undo another one leave alone",
)

#: The changes that count for the limits of a day and a week. The same goes for this condition.
NOT_APPROVED: Final = text("NOT is_approved")

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
    Column("detail", Text, nullable=False, comment="what was sent: JSON, encrypted if a key is set"),
    Column("message", Text, nullable=False, default="", comment="why it was refused: JSON, encrypted if a key is set"),
    Column("is_approved", Boolean, nullable=False, default=False, comment="an approval covered it"),
    Column("step", Integer, comment="the position of its step in the plan of its run"),
    Index(None, "organisation_id", "misid"),
    Index(None, "organisation_id", "user_id"),
    # Reports count by these. If they were key columns, SQLite would choose this index to find one outcome.
    Index(None, "organisation_id", "at", postgresql_include=["role", "action", "outcome"]),
    Index(None, "organisation_id", "outcome"),
    Index(None, "run_id", "step"),
    Index(None, "run_id", "action", "outcome"),
    Index(
        "ix_change_not_approved",
        "organisation_id",
        "at",
        "action",
        "outcome",
        # Without it SQLite would have to read each row, and then prefers the index above.
        "is_approved",
        postgresql_where=NOT_APPROVED,
        sqlite_where=NOT_APPROVED,
    ),
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
    Column("detail", Text, nullable=False, comment="why, in words: JSON, encrypted if a key is set"),
    Column("is_warning", Boolean, nullable=False, default=False),
    Column("fingerprint", String(32), nullable=False, default=""),
    Column("other", String(255), nullable=False, default="", comment="the MISID that a question is about"),
    Column("user_id", BigInteger, comment="the account in OneFile that a question is about"),
    Column("evidence", JSON(none_as_null=True), comment="names of fields that are equal, and that differ"),
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
    Column("archivings", Integer, nullable=False),
    Column("approved_at", UtcDateTime, nullable=False),
    Column("approved_by", String(100), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False, default="", server_default=""),
    Column("part", String(10), nullable=False, default="", server_default="", comment="it is limited to; empty if not"),
    Column("role", String(20), nullable=False, default="", server_default="", comment="it is limited to"),
    Column("field", String(50), nullable=False, default="", server_default="", comment="it is limited to"),
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
    Column("undone_run_id", Integer, comment="the run to undo; empty for a run over the feeds"),
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
    Column("role", String(20), nullable=False, comment="of the user who is assigned"),
    Column("user_misid", String(255), nullable=False),
    Column("learner_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column(
        "refusal",
        Text,
        nullable=False,
        default="",
        comment="OneFile's message, if it refused: JSON, encrypted if a key is set",
    ),
    Column("sent_at", UtcDateTime, nullable=False),
    UniqueConstraint("organisation_id", "learner_misid", "role", "user_misid"),
    comment="which user was assigned to which learner; OneFile does not return it",
)

reference: Final = Table(
    "reference",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", Integer, nullable=False),
    Column("referent", String(20), nullable=False),
    Column("by", String(10), nullable=False),
    Column("code", Text, nullable=False),
    Column("onefile_id", BigInteger, comment="empty if OneFile has no match, or several"),
    Column("reason", String(20), comment="why there is no id"),
    Column("found_at", UtcDateTime, nullable=False),
    Column(
        "is_doubted",
        Boolean,
        nullable=False,
        default=False,
        server_default=false(),
        comment="OneFile has refused a change with this id",
    ),
    UniqueConstraint("organisation_id", "referent", "by", "code"),
)

rate_limit: Final = Table(
    "rate_limit",
    metadata,
    Column("customer", String(32), primary_key=True, comment="a hash of the customer token"),
    Column(
        "next_slot_us", BigInteger, nullable=False, comment="microseconds since 1970 at which the next call may be made"
    ),
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

identity_answer: Final = Table(
    "identity_answer",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("role", String(20), primary_key=True),
    Column("misid", String(255), primary_key=True),
    Column("answer", String(10), nullable=False, comment="same or new"),
    Column("reason", String(30), nullable=False, comment="the question; empty for any"),
    Column("fingerprint", String(32), nullable=False, comment="the record that it is about; empty for any"),
    Column("other", String(255), nullable=False, comment="the MISID that the question was about"),
    Column("user_id", BigInteger, comment="the account in OneFile that the question was about"),
    Column("decided_at", UtcDateTime, nullable=False),
    comment="what operators have answered to questions about people",
)

likely_account: Final = Table(
    "likely_account",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("role", String(20), primary_key=True),
    Column("misid", String(255), primary_key=True),
    Column("onefile_id", BigInteger, primary_key=True, autoincrement=False),
    Column("fingerprint", String(32), nullable=False, comment="the record that it may be the account of"),
    Column("found_at", UtcDateTime, nullable=False),
    comment="accounts in OneFile with the names of new records, so that polls need not search again",
)

link_proposal: Final = Table(
    "link_proposal",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("role", String(20), primary_key=True),
    Column("misid", String(255), primary_key=True),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    comment="accounts that 'syncd link' has proposed, until an operator answers",
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
    comment="the OneFile environment and customer of this store: UserIDs differ between environments",
)

notification: Final = Table(
    "notification",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("channel", String(32), primary_key=True, comment="a hash of the channel's URL"),
    Column("alert", String(30), primary_key=True),
    Column("about", String(60), primary_key=True, comment="which one, if several of the alert may exist at a time"),
    Column("sent_at", UtcDateTime, nullable=False),
    comment="notifications whose condition still holds, and when the last digest was sent",
)

counter: Final = Table(
    "counter",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("counter", String(20), primary_key=True),
    Column("label", String(50), primary_key=True),
    Column("value", Float, nullable=False),
    comment="totals for monitoring; they only grow, whatever is purged",
)

feed_snapshot: Final = Table(
    "feed_snapshot",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column(
        "comparison_version",
        String(32),
        nullable=False,
        comment="a digest of everything that decides how a row is compared",
    ),
    Column("read_at", UtcDateTime, nullable=False),
    Column("generation", Integer, nullable=False, comment="grows whenever the blocks are invalidated"),
    comment="whether the next poll may compare blocks, and on what basis",
)

complete_reading: Final = Table(
    "complete_reading",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("days", Integer, nullable=False, comment="the days on which every feed was read and the plan was sent"),
    Column("counted_at", UtcDateTime, nullable=False, comment="when the last of them was counted"),
    comment="by which days of grace are counted, whatever the clock says",
)

refused_action: Final = Table(
    "refused_action",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("role", String(20), primary_key=True),
    Column("action", String(10), primary_key=True),
    Column("reason", Text, nullable=False, comment="the words of the refusals, without names and numbers"),
    Column("misids", JSON, nullable=False, comment="the different records that were refused in a row"),
    Column("suspended_at", UtcDateTime, comment="empty while there are too few of them"),
    Column("tries", Integer, nullable=False, comment="how many records were tried since then"),
    Column("queued", Integer, nullable=False, comment="the changes of this kind that the last run has left queued"),
    comment="kinds of actions that OneFile has refused for one reason and not accepted since",
)

watermark: Final = Table(
    "watermark",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("feed", String(100), primary_key=True),
    Column("column", Text, nullable=False),
    Column("value", JSON, nullable=False, comment="its type, and the highest value of it"),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("misid_column", Text, nullable=False, comment="the column of the MISID"),
    Column("recheck_misids", JSON, nullable=False, comment="MISIDs to read again whatever their watermark"),
    Column("other_organisation_rows", Integer, nullable=False, comment="rows of other organisations"),
    comment="where the next incremental read of a feed begins",
)

feed_block: Final = Table(
    "feed_block",
    metadata,
    Column("organisation_id", Integer, primary_key=True, autoincrement=False),
    Column("feed", String(100), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("rows", Integer, nullable=False),
    Column("first_row_digest", String(32), nullable=False, comment="a keyed hash of the first row"),
    Column("digest", String(32), nullable=False, comment="the same of all of them"),
    Column("own_rows", Integer, nullable=False, comment="rows of this organisation"),
    Column(
        "recheck_rows", JSON, nullable=False, comment="positions, from 0, of rows to compare again even if unchanged"
    ),
    Column("misids", JSON, nullable=False, comment="one for each row; null for a row of another organisation"),
    Column("row_digests", Text, nullable=False, comment="16 characters of the keyed hash of each row"),
    comment="the feeds as the last successful poll read them, in blocks of a thousand rows",
)

revoked_session: Final = Table(
    "revoked_session",
    metadata,
    Column("session", String(32), primary_key=True, comment="a hash of the session's token"),
    Column("until", UtcDateTime, nullable=False),
    comment="sessions that were ended early, until they would have expired",
)
