"""run samples"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WHO = ("asked_by", "settled_by")
_COUNTED = "ix_change_run_id_action_outcome"
_COUNTS = ("minute", "calls", "calls_before")


def upgrade() -> None:
    comment = "some of what a stopped run would do: MISIDs and names of fields"
    op.add_column("run", sa.Column("sample", sa.JSON(), comment=comment))
    for name in _WHO:
        op.add_column("run", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for name in _COUNTS:
        op.add_column("pace", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    # What a run has done so far is counted every second while somebody watches it.
    op.create_index(_COUNTED, "change", ["run_id", "action", "outcome"])


def downgrade() -> None:
    op.drop_index(_COUNTED, "change")
    for name in _COUNTS:
        op.drop_column("pace", name)
    for name in ("sample", *_WHO):
        op.drop_column("run", name)
