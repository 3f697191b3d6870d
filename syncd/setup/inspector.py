"""Reads the schema of an MIS: its tables and views, and samples of their values."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnClause, Connection, LargeBinary, column, inspect, select, table
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import DBAPIError, SAWarning, SQLAlchemyError

from syncd.errors import MisUnreachable
from syncd.mis.error_messages import error_code
from syncd.mis.source import Mis
from syncd.setup.profiling import look_of
from syncd.setup.schema import Column, Reference, Table
from syncd.setup.sql import Dialect

#: How many rows of a table are sampled.
_SAMPLE_ROWS: Final = 200


class SchemaInspector:
    """Reads the tables and views of one schema of an MIS; by default the login's own schema.

    ``unread`` lists the parts of the database's catalogue that could not be read, and why; without them fewer joins
    are proposed. Raises `MisUnreachable`.
    """

    def __init__(self, mis: Mis, schema: str = "") -> None:
        self._mis = mis
        self._schema = schema or None
        self._binary: dict[str, frozenset[str]] = {}
        unread: list[str] = []
        with mis.connect() as connection:
            self.dialect: Final = Dialect(connection.dialect.name, connection.dialect.identifier_preparer.quote, schema)
            try:
                self.tables: Final = self._read(connection, unread)
            except (SQLAlchemyError, NotImplementedError):
                which = f" of the schema {schema}" if schema else ""
                raise MisUnreachable(
                    f"The tables{which} of the MIS at {mis} cannot be listed. "
                    "Are they there, and may this login see them?"
                ) from None
        self.unread: Final = tuple(unread)

    def profiled(self, one: Table) -> Table:
        """Return the table with profiles of its columns; unchanged if it cannot be read in time."""
        names = [each.name for each in one.columns if each.name not in self._binary[one.name]]
        named: list[ColumnClause[object]] = [column(name) for name in names]
        query = select(*named).select_from(table(one.name, schema=self._schema)).limit(_SAMPLE_ROWS)
        try:
            with self._mis.connect() as connection:
                rows = connection.execute(query).all()
        except (SQLAlchemyError, MisUnreachable, ValueError, ArithmeticError):
            return one
        looks = {name: look_of([row[place] for row in rows]) for place, name in enumerate(names)}
        return replace(one, columns=tuple(replace(each, look=looks.get(each.name, each.look)) for each in one.columns))

    def _read(self, connection: Connection, unread: list[str]) -> tuple[Table, ...]:
        inspector = inspect(connection)
        with warnings.catch_warnings():
            # SQLAlchemy warns about unknown types.
            warnings.simplefilter("ignore", SAWarning)
            wanted: dict[str, Any] = {"schema": self._schema, "kind": ObjectKind.ANY}
            columns = inspector.get_multi_columns(**wanted)
            keys = _read_if_allowed("primary keys", partial(inspector.get_multi_pk_constraint, **wanted), unread)
            references = _read_if_allowed("foreign keys", partial(inspector.get_multi_foreign_keys, **wanted), unread)
        for (_, name), described in columns.items():
            self._binary[name] = frozenset(each["name"] for each in described if isinstance(each["type"], LargeBinary))
        return tuple(
            Table(
                where[1],
                tuple(Column(each["name"], is_nullable=bool(each.get("nullable", True))) for each in described),
                tuple(keys[where]["constrained_columns"]) if keys.get(where) else (),
                self._references(references.get(where, ())),
            )
            for where, described in columns.items()
            if described
        )

    def _references(self, described: Sequence[Mapping[str, Any]]) -> tuple[Reference, ...]:
        return tuple(
            Reference(tuple(each["constrained_columns"]), each["referred_table"], tuple(each["referred_columns"]))
            for each in described
            if each["referred_schema"] in {None, self._schema}
        )


def _read_if_allowed(name: str, read: Callable[[], Any], unread: list[str]) -> Any:
    """Return the result of ``read``; nothing, with a note, if the login may not see it or the database lacks it."""
    try:
        return read()
    except Exception as problem:  # noqa: BLE001 - SQLAlchemy raises errors of any class for an unusual catalogue
        cause = problem.orig if isinstance(problem, DBAPIError) and problem.orig is not None else problem
        code = error_code(cause)
        unread.append(f"{name} ({type(cause).__name__}{f', code {code}' if code else ''})")
        return {}
