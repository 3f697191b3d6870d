"""Watermark columns, which increase with every change of a row: the highest value, and where to begin next time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Self, TypeAlias

from syncd.core.records import Row

WatermarkValue: TypeAlias = datetime | date | int | Decimal | str | bytes
"""A value of a watermark column."""

#: Covers a clock that is set back by an hour, and a change that was committed long after its time stamp.
OVERLAP: Final = timedelta(hours=2)


def higher(watermark: WatermarkValue | None, value: object) -> WatermarkValue | None:
    """Return the higher of the two; ``watermark`` if the value is empty or cannot be compared with it."""
    if isinstance(value, memoryview | bytearray):
        value = bytes(value)
    if isinstance(value, bool) or not isinstance(value, datetime | date | int | Decimal | str | bytes):
        return watermark
    if watermark is None:
        return value
    try:
        return max(watermark, value)
    except TypeError:
        return watermark


def with_overlap(watermark: WatermarkValue) -> WatermarkValue:
    """Return an earlier time than a watermark that is a time, in the same type or text form; others unchanged."""
    match watermark:
        case datetime():
            return watermark - OVERLAP
        case date():
            return watermark - timedelta(days=1)
        case str():
            return _text_with_overlap(watermark)
        case _:
            return watermark


def _text_with_overlap(watermark: str) -> str:
    try:
        moment = datetime.fromisoformat(watermark)
    except ValueError:
        return watermark
    if len(watermark) == len("2026-01-01"):
        return (moment.date() - timedelta(days=1)).isoformat()
    # Databases compare texts letter by letter: a shorter text, or one without a zone, is lower.
    return (moment - OVERLAP).replace(tzinfo=None).isoformat(sep=watermark[10], timespec="seconds")


@dataclass(slots=True)
class WatermarkReading:
    """What the rows of a feed show of its watermark."""

    column: str
    """The watermark column, as the query names it."""
    position: int
    misid_column: str
    """The column of the MISID, as the query names it."""
    misid_position: int
    highest: WatermarkValue | None = None
    are_misids_numeric: bool | None = None
    """Whether all MISIDs are numbers in the database; ``None`` without rows."""

    @classmethod
    def from_columns(cls, name: str, columns: Sequence[str], misid_position: int) -> Self:
        """Begin with a feed that has these columns; ``name`` is the watermark's, in any case."""
        position = [column.lower() for column in columns].index(name.lower())
        return cls(columns[position], position, columns[misid_position], misid_position)

    def observe(self, rows: Iterable[Row]) -> None:
        """Include some rows."""
        for row in rows:
            self.highest = higher(self.highest, row[self.position])
            is_numeric = isinstance(row[self.misid_position], int)
            self.are_misids_numeric = is_numeric and self.are_misids_numeric is not False

    def misids_to_query(self, misids: Iterable[str]) -> list[str | int]:
        """Return the MISIDs in the database's type, without those it cannot have; none for a feed without rows."""
        if self.are_misids_numeric is None:
            return []
        return [int(misid) for misid in misids if misid.isdecimal()] if self.are_misids_numeric else list(misids)
