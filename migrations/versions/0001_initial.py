"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column(
            "user_id",
            sa.BigInteger(),
            nullable=True,
            comment="empty while OneFile has accepted a create without returning the id",
        ),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column(
            "values", sa.Text(), nullable=False, comment="what OneFile last accepted: JSON, encrypted if a key is set"
        ),
        sa.Column(
            "corrections",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="by field, a keyed hash of a value sent again and of OneFile's own, and whether that is reported",
        ),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("needs_recheck", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "left_on_day",
            sa.Integer(),
            nullable=True,
            comment="the day of `complete_reading` on which its record was first missed",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("organisation_id", "role", "misid", name=op.f("uq_account_organisation_id_role_misid")),
    )
    op.create_index(
        op.f("ix_account_organisation_id_misid_role"), "account", ["organisation_id", "misid", "role"], unique=False
    )
    op.create_index(
        op.f("ix_account_organisation_id_role_status_feed"),
        "account",
        ["organisation_id", "role", "status", "feed"],
        unique=False,
    )
    op.create_index(op.f("ix_account_user_id_organisation_id"), "account", ["user_id", "organisation_id"], unique=False)
    op.create_table(
        "assignment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("learner_misid", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False, comment="of the user who is assigned"),
        sa.Column("user_misid", sa.String(length=255), nullable=False),
        sa.Column("learner_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "refusal",
            sa.Text(),
            nullable=False,
            comment="OneFile's message, if it refused: JSON, encrypted if a key is set",
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
        sa.UniqueConstraint(
            "organisation_id",
            "learner_misid",
            "role",
            "user_misid",
            name=op.f("uq_assignment_organisation_id_learner_misid_role_user_misid"),
        ),
        comment="which user was assigned to which learner; OneFile does not return it",
    )
    op.create_table(
        "complete_reading",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "days",
            sa.Integer(),
            nullable=False,
            comment="the days on which every feed was read and the plan was sent",
        ),
        sa.Column(
            "counted_at", sa.DateTime(timezone=True), nullable=False, comment="when the last of them was counted"
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_complete_reading")),
        comment="by which days of grace are counted, whatever the clock says",
    )
    op.create_table(
        "counter",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counter", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(length=50), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "counter", "label", name=op.f("pk_counter")),
        comment="totals for monitoring; they only grow, whatever is purged",
    )
    op.create_table(
        "credential",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False, comment="username and first password: JSON, always encrypted"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
    )
    op.create_table(
        "daemon",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_daemon")),
    )
    op.create_table(
        "feed_block",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("first_row_digest", sa.String(length=32), nullable=False, comment="a keyed hash of the first row"),
        sa.Column("digest", sa.String(length=32), nullable=False, comment="the same of all of them"),
        sa.Column("own_rows", sa.Integer(), nullable=False, comment="rows of this organisation"),
        sa.Column(
            "recheck_rows",
            sa.JSON(),
            nullable=False,
            comment="positions, from 0, of rows to compare again even if unchanged",
        ),
        sa.Column(
            "misids", sa.JSON(), nullable=False, comment="one for each row; null for a row of another organisation"
        ),
        sa.Column("row_digests", sa.Text(), nullable=False, comment="16 characters of the keyed hash of each row"),
        sa.PrimaryKeyConstraint("organisation_id", "feed", "position", name=op.f("pk_feed_block")),
        comment="the feeds as the last successful poll read them, in blocks of a thousand rows",
    )
    op.create_table(
        "feed_snapshot",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "comparison_version",
            sa.String(length=32),
            nullable=False,
            comment="a digest of everything that decides how a row is compared",
        ),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False, comment="grows whenever the blocks are invalidated"),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_feed_snapshot")),
        comment="whether the next poll may compare blocks, and on what basis",
    )
    op.create_table(
        "held",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=30), nullable=False),
        sa.Column("field", sa.String(length=50), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False, comment="why, in words: JSON, encrypted if a key is set"),
        sa.Column("is_warning", sa.Boolean(), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("other", sa.String(length=255), nullable=False, comment="the MISID that a question is about"),
        sa.Column("user_id", sa.BigInteger(), nullable=True, comment="the account in OneFile that a question is about"),
        sa.Column(
            "evidence",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="names of fields that are equal, and that differ",
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held")),
        sa.UniqueConstraint(
            "organisation_id", "role", "misid", "feed", "row", "reason", "field", "is_warning", name="uq_held_entry"
        ),
    )
    op.create_table(
        "identity_answer",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column("answer", sa.String(length=10), nullable=False, comment="same or new"),
        sa.Column("reason", sa.String(length=30), nullable=False, comment="the question; empty for any"),
        sa.Column(
            "fingerprint", sa.String(length=32), nullable=False, comment="the record that it is about; empty for any"
        ),
        sa.Column("other", sa.String(length=255), nullable=False, comment="the MISID that the question was about"),
        sa.Column(
            "user_id", sa.BigInteger(), nullable=True, comment="the account in OneFile that the question was about"
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "role", "misid", name=op.f("pk_identity_answer")),
        comment="what operators have answered to questions about people",
    )
    op.create_table(
        "likely_account",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column("onefile_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "fingerprint", sa.String(length=32), nullable=False, comment="the record that it may be the account of"
        ),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "role", "misid", "onefile_id", name=op.f("pk_likely_account")),
        comment="accounts in OneFile with the names of new records, so that polls need not search again",
    )
    op.create_table(
        "link_proposal",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "role", "misid", "user_id", name=op.f("pk_link_proposal")),
        comment="accounts that 'syncd link' has proposed, until an operator answers",
    )
    op.create_table(
        "notification",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False, comment="a hash of the channel's URL"),
        sa.Column("alert", sa.String(length=30), nullable=False),
        sa.Column(
            "about",
            sa.String(length=60),
            nullable=False,
            comment="which one, if several of the alert may exist at a time",
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "channel", "alert", "about", name=op.f("pk_notification")),
        comment="notifications whose condition still holds, and when the last digest was sent",
    )
    op.create_table(
        "owner",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="1: there is one"),
        sa.Column("onefile", sa.String(length=255), nullable=False, comment="the host of its API"),
        sa.Column(
            "customer",
            sa.String(length=32),
            server_default="",
            nullable=False,
            comment="a hash of the customer token, empty before the first run",
        ),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_owner")),
        comment="the OneFile environment and customer of this store: UserIDs differ between environments",
    )
    op.create_table(
        "rate_limit",
        sa.Column("customer", sa.String(length=32), nullable=False, comment="a hash of the customer token"),
        sa.Column(
            "next_slot_us",
            sa.BigInteger(),
            nullable=False,
            comment="microseconds since 1970 at which the next call may be made",
        ),
        sa.Column("minute", sa.Integer(), server_default="0", nullable=False),
        sa.Column("calls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("calls_before", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("customer", name=op.f("pk_rate_limit")),
    )
    op.create_table(
        "reference",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("referent", sa.String(length=20), nullable=False),
        sa.Column("by", sa.String(length=10), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("onefile_id", sa.BigInteger(), nullable=True, comment="empty if OneFile has no match, or several"),
        sa.Column("reason", sa.String(length=20), nullable=True, comment="why there is no id"),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "is_doubted",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="OneFile has refused a change with this id",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference")),
        sa.UniqueConstraint(
            "organisation_id", "referent", "by", "code", name=op.f("uq_reference_organisation_id_referent_by_code")
        ),
    )
    op.create_table(
        "refused_action",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="the words of the refusals, without names and numbers"),
        sa.Column("misids", sa.JSON(), nullable=False, comment="the different records that were refused in a row"),
        sa.Column(
            "suspended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="empty while there are too few of them",
        ),
        sa.Column("tries", sa.Integer(), nullable=False, comment="how many records were tried since then"),
        sa.Column(
            "queued",
            sa.Integer(),
            nullable=False,
            comment="the changes of this kind that the last run has left queued",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "role", "action", name=op.f("pk_refused_action")),
        comment="kinds of actions that OneFile has refused for one reason and not accepted since",
    )
    op.create_table(
        "revoked_session",
        sa.Column("session", sa.String(length=32), nullable=False, comment="a hash of the session's token"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_revoked_session")),
        comment="sessions that were ended early, until they would have expired",
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("creates", sa.Integer(), nullable=False),
        sa.Column("updates", sa.Integer(), nullable=False),
        sa.Column("leavers", sa.Integer(), nullable=False),
        sa.Column("archivings", sa.Integer(), nullable=False),
        sa.Column(
            "unapproved_leavers",
            sa.Integer(),
            nullable=False,
            comment="the leavers that it recorded and no approval covered",
        ),
        sa.Column("returners", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("warnings", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("in_doubt", sa.Integer(), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=False, comment="left unsent, because an action is suspended"),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "onefile_status",
            sa.String(length=12),
            nullable=False,
            comment="ok, unreachable, or empty if OneFile was not called",
        ),
        sa.Column(
            "plan_run_id",
            sa.Integer(),
            nullable=True,
            comment="the run whose steps are its plan: itself, or an earlier one with the same",
        ),
        sa.Column(
            "plan_digest", sa.String(length=32), server_default="", nullable=False, comment="of the steps of its plan"
        ),
        sa.Column("asked_by", sa.Text(), server_default="", nullable=False),
        sa.Column("settled_by", sa.Text(), server_default="", nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("drift", sa.Integer(), nullable=True, comment="accounts in which a verify found drift"),
        sa.Column(
            "verify_scope",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="which accounts a verify read back, and which still differ",
        ),
        sa.Column(
            "failure_kind", sa.String(length=20), server_default="", nullable=False, comment="the kind of failure"
        ),
        sa.Column("is_full", sa.Boolean(), server_default=sa.false(), nullable=False, comment="every record was read"),
        sa.Column("undone_run_id", sa.Integer(), nullable=True, comment="the run whose changes it takes back"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index(op.f("ix_run_plan_run_id"), "run", ["plan_run_id"], unique=False)
    op.create_index(
        "ix_run_not_quiet",
        "run",
        ["organisation_id", "id"],
        unique=False,
        postgresql_where=sa.text("NOT (state = 'finished' AND applied = 0 AND refused = 0 AND in_doubt = 0)"),
        sqlite_where=sa.text("NOT (state = 'finished' AND applied = 0 AND refused = 0 AND in_doubt = 0)"),
    )
    op.create_index(op.f("ix_run_organisation_id_id"), "run", ["organisation_id", "id"], unique=False)
    op.create_index(
        op.f("ix_run_organisation_id_onefile_status"), "run", ["organisation_id", "onefile_status"], unique=False
    )
    op.create_index(op.f("ix_run_organisation_id_started_at"), "run", ["organisation_id", "started_at"], unique=False)
    op.create_index(op.f("ix_run_organisation_id_state"), "run", ["organisation_id", "state"], unique=False)
    op.create_table(
        "watermark",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("column", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False, comment="its type, and the highest value of it"),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("misid_column", sa.Text(), nullable=False, comment="the column of the MISID"),
        sa.Column("recheck_misids", sa.JSON(), nullable=False, comment="MISIDs to read again whatever their watermark"),
        sa.Column("other_organisation_rows", sa.Integer(), nullable=False, comment="rows of other organisations"),
        sa.PrimaryKeyConstraint("organisation_id", "feed", name=op.f("pk_watermark")),
        comment="where the next incremental read of a feed begins",
    )
    op.create_table(
        "account_mark",
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "mark", sa.String(length=16), nullable=False, comment="a keyed hash of values that identify a person"
        ),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("is_person_key", sa.Boolean(), nullable=False, comment="of the MIS's own key of the person"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_account_mark_account_id")),
        sa.PrimaryKeyConstraint("account_id", "mark", name=op.f("pk_account_mark")),
        comment="by which other accounts of the same person are found without their values",
    )
    op.create_index(
        op.f("ix_account_mark_organisation_id_mark"), "account_mark", ["organisation_id", "mark"], unique=False
    )
    op.create_table(
        "approval",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("creates", sa.Integer(), nullable=False),
        sa.Column("updates", sa.Integer(), nullable=False),
        sa.Column("leavers", sa.Integer(), nullable=False),
        sa.Column("archivings", sa.Integer(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(length=100), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "part", sa.String(length=10), server_default="", nullable=False, comment="it is limited to; empty if not"
        ),
        sa.Column("role", sa.String(length=20), server_default="", nullable=False, comment="it is limited to"),
        sa.Column("field", sa.String(length=50), server_default="", nullable=False, comment="it is limited to"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_approval_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
    )
    op.create_index(op.f("ix_approval_run_id"), "approval", ["run_id"], unique=False)
    op.create_table(
        "change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False, comment="names only"),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("concluded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False, comment="what was sent: JSON, encrypted if a key is set"),
        sa.Column("message", sa.Text(), nullable=False, comment="why it was refused: JSON, encrypted if a key is set"),
        sa.Column("is_approved", sa.Boolean(), nullable=False, comment="an approval covered it"),
        sa.Column("step", sa.Integer(), nullable=True, comment="the position of its step in the plan of its run"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_change_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
    )
    op.create_index(
        op.f("ix_change_organisation_id_at"),
        "change",
        ["organisation_id", "at"],
        unique=False,
        postgresql_include=["role", "action", "outcome"],
    )
    op.create_index(op.f("ix_change_organisation_id_misid"), "change", ["organisation_id", "misid"], unique=False)
    op.create_index(
        "ix_change_not_approved",
        "change",
        ["organisation_id", "at", "action", "outcome", "is_approved"],
        unique=False,
        postgresql_where=sa.text("NOT is_approved"),
        sqlite_where=sa.text("NOT is_approved"),
    )
    op.create_index(op.f("ix_change_organisation_id_outcome"), "change", ["organisation_id", "outcome"], unique=False)
    op.create_index(op.f("ix_change_organisation_id_user_id"), "change", ["organisation_id", "user_id"], unique=False)
    op.create_index(op.f("ix_change_run_id_step"), "change", ["run_id", "step"], unique=False)
    op.create_index(op.f("ix_change_run_id_action_outcome"), "change", ["run_id", "action", "outcome"], unique=False)
    op.create_table(
        "resync_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_by", sa.String(length=100), nullable=False),
        sa.Column("misids", sa.JSON(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column(
            "undone_run_id", sa.Integer(), nullable=True, comment="the run to undo; empty for a run over the feeds"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_resync_request_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resync_request")),
    )
    op.create_index(
        op.f("ix_resync_request_run_id_organisation_id"), "resync_request", ["run_id", "organisation_id"], unique=False
    )
    op.create_table(
        "not_undone",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False, comment="names only"),
        sa.Column("obstacle", sa.String(length=100), nullable=False, comment="why it is not taken back"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_not_undone_run_id")),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_not_undone")),
        comment="what the runs that undo another one leave alone",
    )
    op.create_table(
        "plan_step",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "stage",
            sa.Integer(),
            nullable=False,
            comment="steps of one stage are sent at the same time; 0: takes no call",
        ),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column("other", sa.String(length=255), nullable=False, comment="another MISID that it is about"),
        sa.Column("fields", sa.Text(), nullable=False, comment="names, separated by commas"),
        sa.Column(
            "digest", sa.String(length=32), nullable=False, comment="a keyed hash of key, action, fields and values"
        ),
        sa.Column("decision", sa.String(length=10), nullable=False),
        sa.Column("approval_id", sa.Integer(), nullable=True, comment="the approval that permits it"),
        sa.Column(
            "detail",
            sa.Text(),
            nullable=False,
            comment="the step, and the values before: JSON, encrypted if a key is set",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_plan_step_run_id")),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_plan_step")),
        comment="the plans of the runs, step by step",
    )
    op.create_index(op.f("ix_plan_step_approval_id"), "plan_step", ["approval_id"], unique=False)
    op.create_index(
        op.f("ix_plan_step_run_id_kind_role_fields_misid"),
        "plan_step",
        ["run_id", "kind", "role", "fields", "misid"],
        unique=False,
    )
    op.create_table(
        "withheld_step",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column("is_rejected", sa.Boolean(), nullable=False, comment="otherwise it waits for a decision"),
        sa.Column(
            "is_undone",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="the digest is a mark of a change that was taken back",
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "digest", name=op.f("pk_withheld_step")),
        comment="steps that are not sent although the MIS asks for them",
    )
    op.create_index(
        op.f("ix_withheld_step_organisation_id_misid"), "withheld_step", ["organisation_id", "misid"], unique=False
    )


def downgrade() -> None:
    op.drop_table("withheld_step")
    op.drop_table("plan_step")
    op.drop_table("not_undone")
    op.drop_table("resync_request")
    op.drop_table("change")
    op.drop_table("approval")
    op.drop_table("account_mark")
    op.drop_table("watermark")
    op.drop_table("run")
    op.drop_table("revoked_session")
    op.drop_table("refused_action")
    op.drop_table("reference")
    op.drop_table("rate_limit")
    op.drop_table("owner")
    op.drop_table("notification")
    op.drop_table("link_proposal")
    op.drop_table("likely_account")
    op.drop_table("identity_answer")
    op.drop_table("held")
    op.drop_table("feed_snapshot")
    op.drop_table("feed_block")
    op.drop_table("daemon")
    op.drop_table("credential")
    op.drop_table("counter")
    op.drop_table("complete_reading")
    op.drop_table("assignment")
    op.drop_table("account")
