"""what was told, what is counted, and how runs failed"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: What the tables hold of what is counted. How long runs took was not kept, and is counted from now on.
_THERE = """
    SELECT organisation_id, 'changes' AS counter, action || ' ' || outcome AS label, COUNT(*) AS number
    FROM change WHERE outcome != 'pending' GROUP BY organisation_id, action, outcome
    UNION ALL SELECT organisation_id, 'runs', {ended}, COUNT(*) FROM run
    WHERE state != 'running' GROUP BY organisation_id, state
    UNION ALL SELECT organisation_id, 'calls', '', SUM(calls) FROM run GROUP BY organisation_id
"""
#: Whatever has become of a stopped run, it ended as one.
_ENDED = "CASE WHEN {0} IN ('approved', 'rejected', 'superseded') THEN 'awaiting_approval' ELSE {0} END"


def upgrade() -> None:
    op.create_table(
        "told",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("address", sa.String(length=32), nullable=False, comment="a hash of the URL that was written to"),
        sa.Column("subject", sa.String(length=30), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "address", "subject", name=op.f("pk_told")),
        comment="what somebody was told and is still so, and when the last digest went",
    )
    op.create_table(
        "ledger",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counter", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(length=50), nullable=False),
        sa.Column("number", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "counter", "label", name=op.f("pk_ledger")),
        comment="what monitors count: it only ever grows, whatever is purged",
    )
    op.execute(
        "INSERT INTO ledger (organisation_id, counter, label, number) "
        f"SELECT organisation_id, counter, label, SUM(number) FROM ({_THERE.format(ended=_ENDED.format('state'))} "
        f"UNION ALL SELECT organisation_id, counter, {_ENDED.format('label')}, count FROM tally) AS counted "
        "GROUP BY organisation_id, counter, label"
    )
    op.drop_table("tally")
    op.add_column(
        "run", sa.Column("problem", sa.String(20), nullable=False, server_default="", comment="of which kind it failed")
    )
    op.add_column(
        "run",
        sa.Column("is_whole", sa.Boolean(), nullable=False, server_default=sa.false(), comment="about everybody"),
    )
    op.execute("UPDATE run SET is_whole = (trigger = 'schedule')")
    op.create_index(op.f("ix_account_organisation_id_role_status"), "account", ["organisation_id", "role", "status"])
    op.create_index(op.f("ix_run_organisation_id_state"), "run", ["organisation_id", "state"])
    op.create_index(op.f("ix_change_organisation_id_outcome"), "change", ["organisation_id", "outcome"])
    op.drop_index(op.f("ix_change_outcome"), "change")


def downgrade() -> None:
    op.create_index(op.f("ix_change_outcome"), "change", ["outcome"])
    op.drop_index(op.f("ix_change_organisation_id_outcome"), "change")
    op.drop_index(op.f("ix_run_organisation_id_state"), "run")
    op.drop_index(op.f("ix_account_organisation_id_role_status"), "account")
    for name in ("is_whole", "problem"):
        op.drop_column("run", name)
    op.create_table(
        "tally",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counter", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(length=50), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "counter", "label", name=op.f("pk_tally")),
        comment="what has been purged, so that what is counted never becomes less",
    )
    # An older syncd counts what is there, and adds only what has been purged.
    op.execute(
        "INSERT INTO tally (organisation_id, counter, label, count) "
        "SELECT ledger.organisation_id, ledger.counter, ledger.label, CAST(ledger.number - COALESCE("
        f"(SELECT SUM(there.number) FROM ({_THERE.format(ended=_ENDED.format('state'))}) AS there "
        "WHERE there.organisation_id = ledger.organisation_id AND there.counter = ledger.counter "
        "AND there.label = ledger.label), 0) AS BIGINT) FROM ledger "
        "WHERE ledger.counter IN ('changes', 'runs', 'calls')"
    )
    op.execute("DELETE FROM tally WHERE count <= 0")
    op.drop_table("ledger")
    op.drop_table("told")
