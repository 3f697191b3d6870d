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
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("needs_recheck", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
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
    op.create_index(op.f("ix_account_organisation_id_user_id"), "account", ["organisation_id", "user_id"], unique=False)
    op.create_table(
        "assignment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("learner_misid", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False, comment="of the user who is assigned"),
        sa.Column("user_misid", sa.String(length=255), nullable=False),
        sa.Column("learner_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=False, comment="OneFile's message, if it refused"),
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
        "confirmed_new_misid",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("misid", sa.String(length=255), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_confirmed_new_misid")),
        sa.UniqueConstraint("organisation_id", "misid", name=op.f("uq_confirmed_new_misid_organisation_id_misid")),
        comment="MISIDs that an operator has confirmed to be new people",
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
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("is_warning", sa.Boolean(), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held")),
        sa.UniqueConstraint(
            "organisation_id", "role", "misid", "feed", "row", "reason", "field", "is_warning", name="uq_held_entry"
        ),
    )
    op.create_table(
        "notification",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False, comment="a hash of the channel's URL"),
        sa.Column("alert", sa.String(length=30), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "channel", "alert", name=op.f("pk_notification")),
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
        sa.Column("onefile_id", sa.BigInteger(), nullable=True, comment="empty if OneFile has no match"),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference")),
        sa.UniqueConstraint(
            "organisation_id", "referent", "by", "code", name=op.f("uq_reference_organisation_id_referent_by_code")
        ),
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
        sa.Column("returners", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("warnings", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("in_doubt", sa.Integer(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "onefile_status",
            sa.String(length=12),
            nullable=False,
            comment="ok, unreachable, or empty if OneFile was not called",
        ),
        sa.Column(
            "approval_id",
            sa.Integer(),
            nullable=True,
            comment="the approval it used; no constraint, because the two tables refer to each other",
        ),
        sa.Column(
            "plan_sample", sa.JSON(), nullable=True, comment="part of a stopped run's plan: MISIDs and field names"
        ),
        sa.Column("asked_by", sa.Text(), server_default="", nullable=False),
        sa.Column("settled_by", sa.Text(), server_default="", nullable=False),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index(op.f("ix_run_approval_id"), "run", ["approval_id"], unique=False)
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
        "approval",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("creates", sa.Integer(), nullable=False),
        sa.Column("updates", sa.Integer(), nullable=False),
        sa.Column("leavers", sa.Integer(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.String(length=100), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
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
        sa.Column("message", sa.Text(), nullable=False, comment="why it was refused, without personal values"),
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
    op.create_index(op.f("ix_change_organisation_id_outcome"), "change", ["organisation_id", "outcome"], unique=False)
    op.create_index(op.f("ix_change_run_id"), "change", ["run_id"], unique=False)
    op.create_index(op.f("ix_change_run_id_action_outcome"), "change", ["run_id", "action", "outcome"], unique=False)
    op.create_table(
        "resync_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_by", sa.String(length=100), nullable=False),
        sa.Column("misids", sa.JSON(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_resync_request_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resync_request")),
    )
    op.create_index(
        op.f("ix_resync_request_run_id_organisation_id"), "resync_request", ["run_id", "organisation_id"], unique=False
    )
    # ### end Alembic commands ###


def downgrade() -> None:
    op.drop_table("resync_request")
    op.drop_table("change")
    op.drop_table("approval")
    op.drop_table("watermark")
    op.drop_table("run")
    op.drop_table("revoked_session")
    op.drop_table("reference")
    op.drop_table("rate_limit")
    op.drop_table("owner")
    op.drop_table("notification")
    op.drop_table("held")
    op.drop_table("feed_snapshot")
    op.drop_table("feed_block")
    op.drop_table("daemon")
    op.drop_table("credential")
    op.drop_table("counter")
    op.drop_table("confirmed_new_misid")
    op.drop_table("assignment")
    op.drop_table("account")
