"""whose accounts the store is about: one OneFile, one customer"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Whose an older store is nobody has noted; it is that of whoever writes to it next.
    op.create_table(
        "owner",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="1: there is one"),
        sa.Column("onefile", sa.String(length=255), nullable=False, comment="the host of its API"),
        sa.Column(
            "customer",
            sa.String(length=32),
            nullable=False,
            server_default="",
            comment="a hash of the customer token, empty before the first run",
        ),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_owner")),
        comment="whose accounts these are: UserIDs mean nothing anywhere else",
    )


def downgrade() -> None:
    op.drop_table("owner")
