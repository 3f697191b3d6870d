"""the chunks that a poll goes by"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sweep",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "circumstances", sa.String(length=32), nullable=False, comment="a digest of all that rows were compared by"
        ),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False, comment="grows with all that makes them void"),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_sweep")),
        comment="until when, and by what, polls may go by the chunks",
    )
    op.create_table(
        "chunk",
        sa.Column("organisation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feed", sa.String(length=100), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("first", sa.String(length=32), nullable=False, comment="a keyed hash of the first row"),
        sa.Column("digest", sa.String(length=32), nullable=False, comment="the same of all of them"),
        sa.Column("ours", sa.Integer(), nullable=False, comment="how many are of this organisation"),
        sa.Column(
            "restless", sa.JSON(), nullable=False, comment="which rows may come to something new as they are, from 0"
        ),
        sa.Column("misids", sa.JSON(), nullable=False, comment="of each row; null where it is another organisation's"),
        sa.Column("row_digests", sa.Text(), nullable=False, comment="16 characters of the keyed hash of each row"),
        sa.PrimaryKeyConstraint("organisation_id", "feed", "position", name=op.f("pk_chunk")),
        comment="what the feeds gave at the last poll that went well, a thousand rows each",
    )


def downgrade() -> None:
    op.drop_table("chunk")
    op.drop_table("sweep")
