"""A feed's query, wrapped in one that selects only the rows that have changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Dialect, Select, bindparam, column, literal_column, null, or_, select, text
from sqlalchemy.types import NullType

from syncd.core.watermark import WatermarkValue
from syncd.mis.cursors import Parameters
from syncd.mis.statement import as_subquery

#: Stands for the query while SQLAlchemy compiles the statement, which would take parts of the query for its own marks.
_PLACEHOLDER: Final = "syncd_feed_query"
#: The name of the query where it is defined before the statement.
_DEFINED: Final = "syncd_feed"


@dataclass(frozen=True, slots=True)
class WatermarkQuery:
    """Selects the rows whose watermark is above a value, and the rows of some keys whatever their watermark is."""

    column: str
    """The watermark's column, as the query names it."""
    since: WatermarkValue | None
    """``None`` selects no row: it only shows whether the query can be wrapped."""
    is_inclusive: bool
    """Whether rows that have exactly this value are selected too."""
    key: str
    """The column of the MISID, as the query names it."""
    keys: Sequence[str | int] = ()

    def compile(self, query: str, dialect: Dialect) -> tuple[str, Parameters]:
        """Return the statement for this dialect, and its parameters."""
        feed = text(_PLACEHOLDER).columns().subquery("feed")
        # Without a type SQLAlchemy hands the value to the driver as it is.
        watermark: ColumnElement[Any] = column(self.column)
        since = null() if self.since is None else bindparam("since", self.since, NullType())
        conditions = [watermark.op(">=" if self.is_inclusive else ">")(since)]
        if self.keys:
            conditions.append(column(self.key).in_(bindparam("keys", self.keys, NullType(), expanding=True)))
        statement: Select[Any] = select(literal_column("*")).select_from(feed).where(or_(*conditions))
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        wrapped = _insert(query, str(compiled), dialect)
        parameters = compiled.construct_params()
        if compiled.positional:
            return wrapped, tuple(parameters[name] for name in compiled.positiontup or ())
        return wrapped, parameters


def _insert(query: str, statement: str, dialect: Dialect) -> str:
    """Return the statement with the query in place of the placeholder."""
    if dialect.paramstyle in {"format", "pyformat"}:
        # The driver would read a percent sign as the beginning of a parameter.
        query = query.replace("%", "%%")
    parts = as_subquery(query, dialect.name)
    # The last line of the query may end in a comment.
    select_ = f"\n{parts.select}\n"
    if parts.before:
        statement = f"{parts.before}{_DEFINED} AS ({select_})\n{statement.replace(f'({_PLACEHOLDER})', _DEFINED)}"
    return f"{statement.replace(_PLACEHOLDER, select_)}{parts.after}"
