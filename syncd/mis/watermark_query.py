"""A feed's query, wrapped in one that selects only the rows that have changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Select, bindparam, column, literal_column, or_, select, text
from sqlalchemy.types import NullType

from syncd.core.watermark import WatermarkValue
from syncd.mis.cursors import Parameters


@dataclass(frozen=True, slots=True)
class WatermarkQuery:
    """Selects the rows whose watermark is above a value, and the rows of some keys whatever their watermark is."""

    column: str
    """The watermark's column, as the query names it."""
    since: WatermarkValue
    is_inclusive: bool
    """Whether rows that have exactly this value are selected too."""
    key: str
    """The column of the MISID, as the query names it."""
    keys: Sequence[str | int] = ()

    def compile(self, query: str, dialect: Dialect) -> tuple[str, Parameters]:
        """Return the statement for this dialect, and its parameters."""
        # A colon would be read as a parameter; the last line may be a comment.
        feed = text("\n{}\n".format(query.replace(":", r"\:"))).columns().subquery("feed")
        # Without a type SQLAlchemy hands the value to the driver as it is.
        watermark: ColumnElement[Any] = column(self.column)
        since = bindparam("since", self.since, NullType())
        conditions = [watermark >= since if self.is_inclusive else watermark > since]
        if self.keys:
            conditions.append(column(self.key).in_(bindparam("keys", self.keys, NullType(), expanding=True)))
        statement: Select[Any] = select(literal_column("*")).select_from(feed).where(or_(*conditions))
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        parameters = compiled.construct_params()
        if compiled.positional:
            return str(compiled), tuple(parameters[name] for name in compiled.positiontup or ())
        return str(compiled), parameters
