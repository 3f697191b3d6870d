"""Writes a proposed feed as SQL: a readable SELECT, with the reason beside each column."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from syncd.core.fields import REFERENCE_COLUMNS, Role
from syncd.setup.profiling import Shape
from syncd.setup.schema import Column, Feed, Having, Supplied, Table
from syncd.setup.synonyms import words_of

_INDENT: Final = "    "
#: The position of a comment, if the line before it is shorter.
_COMMENT_AT: Final = 72
#: Parts of the names of columns that are empty until a person leaves.
_OF_LEAVING: Final = ("actend", "actualend", "withdraw", "leftdate", "lefton", "leavingdate", "leaveddate", "dateleft")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The SQL dialect of one kind of database."""

    make: str
    """SQLAlchemy's name of it."""
    quote: Callable[[str], str]
    """Quotes a name, if necessary."""
    schema: str = ""
    """The schema of the tables, if it must be named."""

    def table(self, name: str) -> str:
        """Return a table for FROM, with an alias if its name needs quotation marks."""
        whole = f"{self.quote(self.schema)}.{self.quote(name)}" if self.schema else self.quote(name)
        return whole if self.alias(name) == self.quote(name) else f"{whole} {self.alias(name)}"

    def alias(self, name: str) -> str:
        """Return the name that a query uses for a table."""
        if self.quote(name) == name:
            return name
        plain = "_".join(words_of(name)) or "them"
        return plain if self.quote(plain) == plain else f"the_{plain}"

    def column(self, table: str, column: str) -> str:
        """Return a qualified column."""
        return f"{self.alias(table)}.{self.quote(column)}"

    def joined(self, parts: list[str], between: str = "") -> str:
        """Return texts, some of which may be NULL, concatenated; ``between`` is the separator as an expression."""
        if self.make in {"mysql", "mariadb", "mssql"}:
            return f"CONCAT_WS({between}, {', '.join(parts)})" if between else f"CONCAT({', '.join(parts)})"
        if not between:
            return " || ".join(parts)
        return f"\n{_INDENT * 2}|| {between} || ".join(f"COALESCE({part}, '')" for part in parts)

    @property
    def line_break(self) -> str:
        """The expression for a line break."""
        names = {"mysql": "CHAR(10 USING utf8mb4)", "mariadb": "CHAR(10 USING utf8mb4)"}
        return names.get(self.make, "CHAR(10)" if self.make in {"sqlite", "mssql"} else "CHR(10)")

    def day_first(self, text: str) -> str:
        """Return the expression that turns a day-first date text into a year-first one; other values are unchanged."""
        cut = "SUBSTRING" if self.make == "mssql" else "SUBSTR"
        year, month, day = (f"{cut}({text}, {at}, {length})" for at, length in ((7, 4), (4, 2), (1, 2)))
        turned = self.joined([year, "'-'", month, "'-'", day])
        return f"CASE WHEN {text} LIKE '__/__/____%' THEN {turned} ELSE {text} END"


def select_of(feed: Feed, tables: dict[str, Table], dialect: Dialect, condition: str = "") -> str:
    """Return the feed's query, with comments. ``condition`` is SQL that selects its rows; empty for all."""
    return "\n".join((*_lines(feed, tables, dialect, condition), ""))


def _lines(feed: Feed, tables: dict[str, Table], dialect: Dialect, condition: str) -> Iterator[str]:
    yield from _head(feed)
    yield "SELECT"
    on = [one for one in feed.supplied if not one.off]
    for number, one in enumerate(on, start=1):
        comma = "," if number < len(on) else ""
        yield _commented(f"{_INDENT}{_expression(one, dialect)} AS {one.name}{comma}", f"{one.reason}")
    for name in feed.missing:
        ways = [name, *(column.name for column in REFERENCE_COLUMNS.values() if column.field == name)]
        yield f"{_INDENT}-- STILL MISSING, and mandatory: a column AS {' or '.join(ways)}, or a key in [defaults]."
    if off := [one for one in feed.supplied if one.off]:
        yield f"{_INDENT}-- Left out until you decide; remove the two dashes to send one:"
        for one in off:
            yield _commented(f"{_INDENT}-- , {_expression(one, dialect)} AS {one.name}", one.off)
    yield from _from(feed, dialect)
    yield from _where(feed, tables, dialect, condition)


def _head(feed: Feed) -> Iterator[str]:
    what = f"each {feed.role.lower()}"
    who = "" if feed.role.is_place else " who needs an account in OneFile"
    yield f"-- The feed {feed.name}: one row for {what}{who}."
    yield "--"
    yield "-- Proposed by 'syncd init' from the names of tables and columns and a few of their values: read it, and"
    yield "-- correct what is wrong. The names after AS are OneFile's; a column that is not here is never sent."
    if feed.role is not Role.LEARNER and not feed.role.is_place:
        yield "-- Many already have accounts in OneFile: run 'syncd link' before the first run to avoid duplicates."
    yield ""


def _expression(one: Supplied, dialect: Dialect) -> str:
    columns = [dialect.column(one.table, column.name) for column in one.columns]
    if len(columns) > 1:
        return dialect.joined(columns, dialect.line_break)
    return dialect.day_first(columns[0]) if one.columns[0].look.shape is Shape.DAY_FIRST else columns[0]


def _from(feed: Feed, dialect: Dialect) -> Iterator[str]:
    if feed.newest_by:
        misid = feed.source_of("MISID")
        yield "FROM"
        yield from _newest(
            feed.table, [column.name for column in misid.columns] if misid else [], feed.newest_by, dialect
        )
    else:
        yield f"FROM {dialect.table(feed.table)}"
    for join in feed.joins:
        pairs = [f"{dialect.column(join.table, own)} = {dialect.column(join.to, other)}" for own, other in join.on]
        if join.newest_by:
            pairs.append(f"{dialect.alias(join.table)}.newest = 1")
            yield "LEFT JOIN"
            yield from _newest(join.table, [own for own, _ in join.on], join.newest_by, dialect)
            yield f"{_INDENT}ON {' AND '.join(pairs)}"
        else:
            yield _commented(f"LEFT JOIN {dialect.table(join.table)} ON {' AND '.join(pairs)}", join.reason)


def _newest(table: str, mine: list[str], newest_by: tuple[Column, ...], dialect: Dialect) -> Iterator[str]:
    """Yield the subquery that ranks several rows for one record, the newest first."""
    name = dialect.alias(table)
    # Columns that are equal in all of these rows do not order them.
    telling = [column for column in newest_by if column.name not in mine] or newest_by
    order = [part for column in telling for part in _descending(dialect.column(table, column.name), column, dialect)]
    partition = ", ".join(dialect.column(table, column) for column in mine)
    yield f"{_INDENT}-- of several rows for one learner, the latest"
    yield f"{_INDENT}(SELECT {name}.*, ROW_NUMBER() OVER (PARTITION BY {partition}"
    yield f"{_INDENT}     ORDER BY {', '.join(order)}) AS newest"
    yield f"{_INDENT} FROM {dialect.table(table)}) {name}"


def _descending(expression: str, column: Column, dialect: Dialect) -> Iterator[str]:
    # Some databases sort NULL as the largest value.
    if column.is_nullable:
        yield f"CASE WHEN {expression} IS NULL THEN 1 ELSE 0 END"
    day = dialect.day_first(expression) if column.look.shape is Shape.DAY_FIRST else expression
    yield f"{day} DESC"


def _where(feed: Feed, tables: dict[str, Table], dialect: Dialect, condition: str) -> Iterator[str]:
    conditions = [_having(feed.having, feed.table, dialect)] if feed.having else []
    if feed.newest_by:
        conditions.append(f"{dialect.alias(feed.table)}.newest = 1")
    if condition:
        conditions.append(f"({condition})")
    if conditions:
        yield f"WHERE {' AND '.join(conditions)}"
    if feed.role is Role.LEARNER and not condition:
        yield (
            "-- This returns everyone, also people who have left. To select fewer, add a condition"
            + (" with AND" if conditions else ", beginning with WHERE")
            + ", such as"
        )
        for hint in _hints(feed, tables, dialect):
            yield f"--     {hint}"


def _having(having: Having, table: str, dialect: Dialect) -> str:
    value = having.value.replace("'", "''")
    conditions = [f"{dialect.column(having.table, having.column)} = '{value}'"]
    conditions += [f"{dialect.column(having.table, own)} = {dialect.column(table, their)}" for own, their in having.on]
    if not having.on:
        return conditions[0]
    return f"EXISTS (SELECT 1 FROM {dialect.table(having.table)} WHERE {' AND '.join(conditions)})"  # noqa: S608


def _hints(feed: Feed, tables: dict[str, Table], dialect: Dialect) -> Iterator[str]:
    """Yield conditions on columns that may show who has left."""
    found = False
    for name in (feed.table, *(join.table for join in feed.joins)):
        for column in tables[name].columns:
            squashed = "".join(words_of(column.name))
            if any(word in squashed for word in _OF_LEAVING):
                yield f"{dialect.column(name, column.name)} IS NULL"
            elif "status" in squashed:
                yield f"{dialect.column(name, column.name)} = '…'"
            else:
                continue
            found = True
    if not found:
        yield "… = '…'"


def _commented(line: str, comment: str) -> str:
    return f"{line:<{_COMMENT_AT}}  -- {comment}" if comment else line
