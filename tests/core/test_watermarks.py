"""A column that grows with every change."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from syncd.core.watermark import WatermarkReading, WatermarkValue, higher, read, told, with_overlap

_MOMENT = datetime.fromisoformat("2026-11-25 01:30")


@pytest.mark.parametrize(
    ("mark", "from_there"),
    [
        (_MOMENT, datetime.fromisoformat("2026-11-24 23:30")),
        (_MOMENT.replace(tzinfo=UTC), datetime(2026, 11, 24, 23, 30, tzinfo=UTC)),
        (date(2026, 11, 25), date(2026, 11, 24)),
        ("2026-11-25 01:30:00", "2026-11-24 23:30:00"),
        ("2026-11-25T01:30:00.123456", "2026-11-24T23:30:00"),
        ("2026-11-25T01:30:00+00:00", "2026-11-24T23:30:00"),
        ("2026-11-25", "2026-11-24"),
        ("00A7", "00A7"),
        (17, 17),
        (Decimal("17.5"), Decimal("17.5")),
        (b"\x00\x07", b"\x00\x07"),
    ],
)
def test_it_is_asked_for_with_an_overlap_where_it_is_a_time(mark: WatermarkValue, from_there: WatermarkValue) -> None:
    assert with_overlap(mark) == from_there
    assert with_overlap(mark) <= mark  # type: ignore[operator]
    assert read(told(mark)) == mark


@pytest.mark.parametrize("value", [None, True, 1.5, object()])
def test_what_is_no_mark_is_passed_over(value: object) -> None:
    assert higher(17, value) == 17
    assert higher(None, value) is None


def test_the_higher_of_two_is_kept() -> None:
    assert higher(higher(None, _MOMENT), datetime.fromisoformat("2026-01-01")) == _MOMENT
    assert higher(b"\x01", memoryview(b"\x02")) == b"\x02"
    assert higher(_MOMENT, "2026-12-01") == _MOMENT


def test_misids_are_asked_for_as_the_database_has_them() -> None:
    marking = WatermarkReading("UpdatedAt", 1, "MISID", 0)
    # Nothing was read of it, so nobody of it is restless, whoever of other feeds may be.
    assert marking.keys(["L1", "17"]) == []
    marking.observe((17, _MOMENT))
    assert marking.keys(["L1", "17"]) == [17]
    marking.observe(("L1", _MOMENT))
    assert marking.keys(["L1", "17"]) == ["L1", "17"]
