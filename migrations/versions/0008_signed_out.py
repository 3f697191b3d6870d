"""who has signed out"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signed_out",
        sa.Column("session", sa.String(length=32), nullable=False, comment="a hash of what only this session has"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_signed_out")),
        comment="sessions that were ended before their time, for as long as they would have lasted",
    )


def downgrade() -> None:
    op.drop_table("signed_out")
