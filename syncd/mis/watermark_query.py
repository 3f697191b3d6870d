"""The part of a feed that has changed: its query, wrapped in one that asks for no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Select, bindparam, column, literal_column, or_, select, text
from sqlalchemy.types import NullType

from syncd.core.watermark import WatermarkValue
from syncd.mis.cursors import Parameters


@dataclass(frozen=True, slots=True)
class Since:
    """What is asked for: rows from a mark on, or after it, and some that are wanted whatever theirs is."""

    column: str
    """The watermark, as the query names it."""
    mark: WatermarkValue
    is_included: bool
    key: str
    """The column of the MISID, as the query names it."""
    keys: Sequence[str | int] = ()

    def of(self, query: str, dialect: Dialect) -> tuple[str, Parameters]:
        """The query and its parameters, as this make of database wants them."""
        # A colon in it would be taken for a parameter; on its last line may be a comment.
        feed = text("\n{}\n".format(query.replace(":", r"\:"))).columns().subquery("feed")
        # Without types no driver is told to make another value of it.
        here: ColumnElement[Any] = column(self.column)
        mark = bindparam("since", self.mark, NullType())
        wanted = [here >= mark if self.is_included else here > mark]
        if self.keys:
            wanted.append(column(self.key).in_(bindparam("keys", self.keys, NullType(), expanding=True)))
        statement: Select[Any] = select(literal_column("*")).select_from(feed).where(or_(*wanted))
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        parameters = compiled.construct_params()
        if compiled.positional:
            return str(compiled), tuple(parameters[name] for name in compiled.positiontup or ())
        return str(compiled), parameters
