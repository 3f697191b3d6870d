"""A column that grows with every change: how far it had come, and from where to ask for what has changed since."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

WatermarkValue: TypeAlias = datetime | date | int | Decimal | str | bytes
"""A value of such a column."""

#: A clock that is an hour behind, as every autumn, or a change that took its time to be committed.
OVERLAP: Final = timedelta(hours=2)

_READERS: Final[Mapping[str, Callable[[str], WatermarkValue]]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "int": int,
    "Decimal": Decimal,
    "str": str,
    "bytes": bytes.fromhex,
}


def higher(mark: WatermarkValue | None, value: object) -> WatermarkValue | None:
    """The higher of the two; a value that is empty, or that cannot be told from the other, is passed over."""
    if isinstance(value, memoryview | bytearray):
        value = bytes(value)
    if isinstance(value, bool) or not isinstance(value, datetime | date | int | Decimal | str | bytes):
        return mark
    if mark is None:
        return value
    try:
        return max(mark, value)
    except TypeError:
        return mark


def with_overlap(mark: WatermarkValue) -> WatermarkValue:
    """From where to ask again: a moment some time before it, in whichever form it comes; any other value as it is."""
    match mark:
        case datetime():
            return mark - OVERLAP
        case date():
            return mark - timedelta(days=1)
        case str():
            return _text_with_overlap(mark)
        case _:
            return mark


def _text_with_overlap(mark: str) -> str:
    try:
        moment = datetime.fromisoformat(mark)
    except ValueError:
        return mark
    if len(mark) == len("2026-01-01"):
        return (moment.date() - timedelta(days=1)).isoformat()
    # Texts are compared letter by letter: a shorter one comes first, and so does one with no zone.
    return (moment - OVERLAP).replace(tzinfo=None).isoformat(sep=mark[10], timespec="seconds")


@dataclass(slots=True)
class WatermarkReading:
    """What reading a feed tells of its watermark."""

    column: str
    """The watermark, as the query names it."""
    position: int
    key: str
    """The column of the MISID, as the query names it."""
    key_position: int
    highest: WatermarkValue | None = None
    rows: int = 0
    numbers: int = 0
    """How many of the MISIDs were numbers to the database."""

    def observe(self, row: Sequence[object]) -> None:
        """Take in one row."""
        self.highest = higher(self.highest, row[self.position])
        self.rows += 1
        self.numbers += isinstance(row[self.key_position], int)

    def keys(self, misids: Iterable[str]) -> list[str | int]:
        """Those of the MISIDs that may be in the feed, as the database has them; none of a feed that gave no row."""
        if self.rows == 0:
            return []
        if self.numbers < self.rows:
            return list(misids)
        return [int(misid) for misid in misids if misid.isdecimal()]


def told(mark: WatermarkValue) -> list[str]:
    """As it can be kept."""
    match mark:
        case datetime():
            return ["datetime", mark.astimezone(UTC).isoformat() if mark.tzinfo else mark.isoformat()]
        case date():
            return ["date", mark.isoformat()]
        case bytes():
            return ["bytes", mark.hex()]
        case _:
            return [type(mark).__name__, str(mark)]


def read(kept: list[str]) -> WatermarkValue:
    """What was kept."""
    kind, text = kept
    return _READERS[kind](text)
