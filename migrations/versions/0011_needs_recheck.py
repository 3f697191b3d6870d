"""a column for accounts whose record the next run compares value by value, in place of an empty fingerprint"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ACCOUNT = sa.table("account", sa.column("fingerprint", sa.String), sa.column("needs_recheck", sa.Boolean))


def upgrade() -> None:
    op.add_column("account", sa.Column("needs_recheck", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(_ACCOUNT.update().where(_ACCOUNT.c.fingerprint == "").values(needs_recheck=sa.true()))


def downgrade() -> None:
    with op.batch_alter_table("account") as table:
        table.drop_column("needs_recheck")
