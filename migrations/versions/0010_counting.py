"""indexes that what is counted and listed can be read from alone"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NEW = (
    ("account", ("organisation_id", "misid", "role")),
    ("account", ("organisation_id", "role", "status", "feed")),
)
_OLD = (("account", ("organisation_id", "role", "status")),)
_BY_TIME = "ix_change_organisation_id_at"
_NOT_QUIET = sa.text("NOT (state = 'finished' AND applied = 0 AND refused = 0 AND in_doubt = 0)")


def upgrade() -> None:
    _create(_NEW)
    _drop(_OLD)
    columns = ["organisation_id", "id"]
    op.create_index("ix_run_not_quiet", "run", columns, postgresql_where=_NOT_QUIET, sqlite_where=_NOT_QUIET)
    _make_anew(including=("role", "action", "outcome"))


def downgrade() -> None:
    _make_anew()
    op.drop_index("ix_run_not_quiet", table_name="run")
    _create(_OLD)
    _drop(_NEW)


def _make_anew(*, including: tuple[str, ...] = ()) -> None:
    op.drop_index(_BY_TIME, table_name="change")
    op.create_index(_BY_TIME, "change", ["organisation_id", "at"], postgresql_include=list(including))


def _create(indexes: tuple[tuple[str, tuple[str, ...]], ...]) -> None:
    for table, columns in indexes:
        op.create_index(_name(table, columns), table, columns)


def _drop(indexes: tuple[tuple[str, tuple[str, ...]], ...]) -> None:
    for table, columns in indexes:
        op.drop_index(_name(table, columns), table_name=table)


def _name(table: str, columns: tuple[str, ...]) -> str:
    return op.f("ix_" + "_".join((table, *columns)))
