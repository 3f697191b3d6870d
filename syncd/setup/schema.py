"""The input and the result of a proposal: tables as the database describes them, and the proposed feeds."""

from dataclasses import dataclass

from syncd.core.fields import FIELDS, REFERENCE_COLUMNS, Role
from syncd.setup.profiling import UNSEEN, Look


@dataclass(frozen=True, slots=True)
class Column:
    """A column, as the database describes it, and the profile of its values."""

    name: str
    look: Look = UNSEEN
    is_nullable: bool = True


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key."""

    columns: tuple[str, ...]
    table: str
    their_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table or a view."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    """The columns of its primary key."""
    references: tuple[Reference, ...] = ()

    def column(self, name: str) -> Column | None:
        """Return the column of this name, in any letter case."""
        return next((one for one in self.columns if one.name.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Supplied:
    """A column of a feed, and the MIS columns that supply it; several for an address."""

    name: str
    table: str
    columns: tuple[Column, ...]
    reason: str
    off: str = ""
    """Why the column is switched off until the operator decides; empty if it is on."""

    def __str__(self) -> str:
        return ", ".join(f"{self.table}.{column.name}" for column in self.columns)


@dataclass(frozen=True, slots=True)
class Join:
    """A table joined to a feed."""

    table: str
    to: str
    on: tuple[tuple[str, str], ...]
    """Pairs of its own column and the other table's column."""
    newest_by: tuple[Column, ...] = ()
    """If there are several rows for one record, the last by these columns is used; empty if there is only one."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Having:
    """A filter on a column's value, in the feed's own table or in a table that refers to it."""

    table: str
    on: tuple[tuple[str, str], ...]
    """As in `Join`; empty for the feed's own table."""
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A proposed feed."""

    name: str
    role: Role
    table: str
    supplied: tuple[Supplied, ...]
    joins: tuple[Join, ...] = ()
    newest_by: tuple[Column, ...] = ()
    """As in `Join`, if the first table itself has several rows for one record."""
    having: Having | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The mandatory fields that no column supplies."""
        there = {field_of(one.name) for one in self.supplied if not one.off}
        return tuple(
            name
            for name, each in FIELDS.items()
            if (self.role in each.mandatory or name == "MISID") and name not in there
        )

    def source_of(self, name: str) -> Supplied | None:
        """Return the source of a column of the feed."""
        return next((one for one in self.supplied if one.name == name), None)


class NotJoined(ValueError):
    """A table that the operator named cannot be joined to the feed; the message says which."""


def field_of(name: str) -> str:
    """Return the field that a column of a feed supplies."""
    return REFERENCE_COLUMNS[name].field if name in REFERENCE_COLUMNS else name
