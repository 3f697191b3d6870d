"""What a proposal is about and what it says: tables as a database describes them, and the feeds that they could be."""

from dataclasses import dataclass

from syncd.core.fields import FIELDS, REFERENCE_COLUMNS, Role
from syncd.setup.profiling import UNSEEN, Look


@dataclass(frozen=True, slots=True)
class Column:
    """A column, as a database describes it, and what its values look like."""

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
        """The column of this name, in any letter case."""
        return next((one for one in self.columns if one.name.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Supplied:
    """A column of a feed, and the columns of the MIS that it is made of: several for an address."""

    name: str
    table: str
    columns: tuple[Column, ...]
    reason: str
    off: str = ""
    """Why it is better left out until somebody has thought about it; empty where it is not."""

    def __str__(self) -> str:
        return ", ".join(f"{self.table}.{column.name}" for column in self.columns)


@dataclass(frozen=True, slots=True)
class Join:
    """A table beside the first one of a feed."""

    table: str
    to: str
    on: tuple[tuple[str, str], ...]
    """Pairs of its own column and the other's."""
    newest_by: tuple[Column, ...] = ()
    """Of several rows for one, the one that is last by these counts; empty where there is never more than one."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Having:
    """Only those for whom a column has this value: one of their own, or of a table that has rows of them."""

    table: str
    on: tuple[tuple[str, str], ...]
    """As in `Join`; empty where it is their own."""
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
    """As in `Join`, where the first table itself has several rows for one."""
    having: Having | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The mandatory fields that nothing supplies."""
        there = {field_of(one.name) for one in self.supplied if not one.off}
        return tuple(
            name
            for name, each in FIELDS.items()
            if (self.role in each.mandatory or name == "MISID") and name not in there
        )

    def source_of(self, name: str) -> Supplied | None:
        """What supplies a column of the feed."""
        return next((one for one in self.supplied if one.name == name), None)


class NotJoined(ValueError):
    """A table that somebody has named cannot be joined to the feed's; the message says which."""


def field_of(name: str) -> str:
    """The field that a column of a feed is for."""
    return REFERENCE_COLUMNS[name].field if name in REFERENCE_COLUMNS else name
