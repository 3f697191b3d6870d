"""A watermark: how it is compared, read again with an overlap, and stored."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from syncd.core.watermark import WatermarkReading, WatermarkValue, higher, with_overlap
from syncd.state.feed_digests import decode_watermark, encode_watermark

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
def test_a_watermark_that_is_a_time_is_read_again_with_an_overlap(
    mark: WatermarkValue, from_there: WatermarkValue
) -> None:
    assert with_overlap(mark) == from_there
    assert with_overlap(mark) <= mark  # type: ignore[operator]
    assert decode_watermark(encode_watermark(mark)) == mark


@pytest.mark.parametrize("value", [None, True, 1.5, object()])
def test_a_value_that_cannot_be_a_watermark_is_ignored(value: object) -> None:
    assert higher(17, value) == 17
    assert higher(None, value) is None


def test_the_higher_of_two_watermarks_is_kept() -> None:
    assert higher(higher(None, _MOMENT), datetime.fromisoformat("2026-01-01")) == _MOMENT
    assert higher(b"\x01", memoryview(b"\x02")) == b"\x02"
    assert higher(_MOMENT, "2026-12-01") == _MOMENT


def test_misids_are_queried_in_the_type_of_the_database() -> None:
    reading = WatermarkReading.from_columns("updatedat", ["MISID", "UpdatedAt"], 0)
    assert (reading.column, reading.misid_column) == ("UpdatedAt", "MISID")
    # The feed returned no row, so none of its rows has to be rechecked.
    assert reading.misids_to_query(["L1", "17"]) == []
    reading.observe([(17, _MOMENT)])
    assert reading.misids_to_query(["L1", "17"]) == [17]
    reading.observe([("L1", _MOMENT)])
    assert reading.misids_to_query(["L1", "17"]) == ["L1", "17"]
