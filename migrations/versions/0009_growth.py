"""indexes for years of runs"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INDEXES = (
    ("run", ("organisation_id", "id")),
    ("run", ("organisation_id", "onefile")),
    ("run", ("organisation_id", "started_at")),
    ("run", ("approval_id",)),
    ("approval", ("run_id",)),
    ("resync_request", ("run_id", "organisation_id")),
)


def upgrade() -> None:
    for table, columns in _INDEXES:
        op.create_index(_name(table, columns), table, columns)


def downgrade() -> None:
    for table, columns in reversed(_INDEXES):
        op.drop_index(_name(table, columns), table_name=table)


def _name(table: str, columns: tuple[str, ...]) -> str:
    return op.f("ix_" + "_".join((table, *columns)))
