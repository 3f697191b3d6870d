"""Watermark columns, which increase with every change of a row: the highest value, and where to begin next time."""

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, Self, TypeAlias

from syncd.core.records import Row
from syncd.core.text import plural

WatermarkValue: TypeAlias = datetime | date | int | Decimal | str | bytes
"""A value of a watermark column."""

#: Covers a clock that is set back by an hour, and a change that was committed long after its time stamp.
OVERLAP: Final = timedelta(hours=2)

#: A time as text that sorts: from the year to the second, each with as many digits as the others have.
_TIME: Final = re.compile(
    r"(?P<year>\d{4})(?P<dash>[-/.]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
    r"(?:(?P<between>[ T]?)(?P<hour>\d\d)(?P<colon>:?)(?P<minute>\d\d)(?:(?P=colon)(?P<second>\d\d)(?:[.,]\d+)?)?"
    r"(?: ?(?:Z|(?P<offset>[+-]\d\d)(?::?\d\d)?))?)? *"
)
#: Texts of one length that have only these sort as well, such as a number with leading zeros.
_CODE: Final = re.compile(r"[0-9A-Za-z]+ *")
#: The other kinds of values that sort.
_KINDS: Final = (date, int | Decimal, bytes | memoryview | bytearray)
#: How databases write no time. It is lower than all others.
_NO_TIME: Final = re.compile(r"0000-00-00.*|-infinity", re.DOTALL)
#: The offsets of summer and winter in one place differ by less than `OVERLAP`.
_NEAR_UTC: Final = {"+00", "-00", "+01", "+02"}


@dataclass(frozen=True, slots=True)
class DatabaseClock:
    """The time by the clock of the database, without a zone."""

    local: datetime
    """In the zone of the session, which is also that of its time stamps without a zone."""
    utc: datetime

    @classmethod
    def of_machine(cls, now: datetime) -> Self:
        """Return the clock for a database that has none of its own, whose time stamps may be local or UTC."""
        utc = now.astimezone(UTC).replace(tzinfo=None)
        return cls(max(now.astimezone().replace(tzinfo=None), utc), utc)

    def is_before(self, value: object) -> bool:
        """Whether a watermark is a time in the future, by more than the overlap covers.

        It hides every change until that time. It is wrong, or the database's time zone was changed since.
        """
        match value:
            case datetime() if value.tzinfo:
                return value > (self.utc + OVERLAP).replace(tzinfo=UTC)
            case datetime():
                return value > self.local + OVERLAP
            case date():
                return value > (self.local + timedelta(days=1)).date()
            case Decimal():
                return not value.is_finite()
            case str() if found := _TIME.fullmatch(value):
                moment = _moment(found)
                return moment is not None and self.is_before(moment if found["hour"] else moment.date())
            case _:
                return False


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
    except (TypeError, ArithmeticError):
        return watermark


def with_overlap(watermark: WatermarkValue) -> WatermarkValue:
    """Return an earlier time than a watermark that is a time, in the same type or text form; others unchanged."""
    try:
        match watermark:
            case datetime():
                return watermark - OVERLAP
            case date():
                return watermark - timedelta(days=1)
            case str():
                return _text_with_overlap(watermark)
    except OverflowError:
        # Year 1 is what some programs write for no time.
        pass
    return watermark


def _text_with_overlap(watermark: str) -> str:
    found = _TIME.fullmatch(watermark)
    moment = found and _moment(found)
    if not found or not moment:
        return watermark
    earlier = moment - (OVERLAP if found["hour"] else timedelta(days=1))
    day = found["dash"].join((f"{earlier.year:04}", f"{earlier.month:02}", f"{earlier.day:02}"))
    if not found["hour"]:
        return day
    # Databases compare texts letter by letter: a shorter text, or one without a zone, is lower.
    units = [earlier.hour, earlier.minute, *([earlier.second] if found["second"] else [])]
    return f"{day}{found['between']}{found['colon'].join(f'{unit:02}' for unit in units)}"


def _moment(found: re.Match[str]) -> datetime | None:
    """Return the time that a text shows; ``None`` if there is no such time."""
    year, month, day, hour, minute, second = (
        int(found[part] or 0) for part in ("year", "month", "day", "hour", "minute", "second")
    )
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - a text without a zone
    except ValueError:
        return None


def _form(value: object) -> Hashable:
    """Return the form of a value; values of one form sort in the order of time. ``None`` if there is no such order."""
    match value:
        case bool():
            return None
        case datetime():
            return "time", value.tzinfo is not None
        case str():
            return _form_of_text(value)
        case _:
            return next((kind for kind in _KINDS if isinstance(value, kind)), None)


def _form_of_text(value: str) -> Hashable:
    found = _TIME.fullmatch(value)
    if found and found["dash"] and _moment(found):
        offset = "" if found["offset"] in _NEAR_UTC else found["offset"] or ""
        return found["dash"], found["between"], found["colon"], offset
    return len(value.rstrip()) if _CODE.fullmatch(value) else None


@dataclass(slots=True)
class WatermarkReading:
    """What the rows of a feed show of its watermark."""

    column: str
    """The watermark column, as the query names it."""
    position: int
    misid_column: str
    """The column of the MISID, as the query names it."""
    misid_position: int
    clock: DatabaseClock
    """When the reading began."""
    highest: WatermarkValue | None = None
    are_misids_numeric: bool | None = None
    """Whether all MISIDs are numbers in the database; ``None`` without rows."""
    _forms: set[Hashable] = field(default_factory=set)
    _future_rows: int = 0

    @classmethod
    def from_columns(cls, name: str, columns: Sequence[str], misid_position: int, clock: DatabaseClock) -> Self:
        """Begin with a feed that has these columns; ``name`` is the watermark's, in any case."""
        position = [column.lower() for column in columns].index(name.lower())
        return cls(columns[position], position, columns[misid_position], misid_position, clock)

    @property
    def problem(self) -> str:
        """Why the next poll cannot begin at the highest value, with what to do; empty if it can.

        Rows that change would be below that value, and no poll would find them.
        """
        if len(self._forms) > 1 or None in self._forms:
            return (
                f"the values of {self.column} do not sort in the order of time. Return a date and time, a number, or "
                "text of one form that begins with the year, such as 2026-01-31 15:30:00"
            )
        if self._future_rows or self.clock.is_before(self.highest):
            which = "its highest value is"
            if self._future_rows:
                which = f"{plural(self._future_rows, 'row')} {'has' if self._future_rows == 1 else 'have'} a value"
            return (
                f"{which} in the future by the database's clock. Correct the values of {self.column} in the MIS, or "
                "their time zone in the query"
            )
        return ""

    def begin_at(self, value: WatermarkValue) -> None:
        """Continue an earlier reading, whose highest value this was."""
        self.highest = value
        self._forms.add(_form(value))

    def observe(self, rows: Iterable[Row]) -> None:
        """Include some rows."""
        for row in rows:
            value = row[self.position]
            self.highest = higher(self.highest, value)
            if value is not None and not (isinstance(value, str) and _NO_TIME.fullmatch(value)):
                self._forms.add(_form(value))
                self._future_rows += self.clock.is_before(value)
            is_numeric = isinstance(row[self.misid_position], int)
            self.are_misids_numeric = is_numeric and self.are_misids_numeric is not False

    def misids_to_query(self, misids: Iterable[str]) -> list[str | int]:
        """Return the MISIDs in the database's type, without those it cannot have; none for a feed without rows."""
        if self.are_misids_numeric is None:
            return []
        return [int(misid) for misid in misids if misid.isdecimal()] if self.are_misids_numeric else list(misids)
