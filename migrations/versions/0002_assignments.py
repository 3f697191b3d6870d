"""assignments"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assignment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("learner_misid", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False, comment="of whoever is assigned"),
        sa.Column("user_misid", sa.String(length=255), nullable=False),
        sa.Column("learner_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=False, comment="OneFile's words, if it said no"),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
        sa.UniqueConstraint(
            "organisation_id",
            "learner_misid",
            "role",
            "user_misid",
            name=op.f("uq_assignment_organisation_id_learner_misid_role_user_misid"),
        ),
        comment="who was assigned to whom, for OneFile does not tell",
    )


def downgrade() -> None:
    op.drop_table("assignment")
