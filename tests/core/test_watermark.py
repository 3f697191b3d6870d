"""A watermark: how it is compared, read again with an overlap, and stored."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from syncd.core.watermark import DatabaseClock, WatermarkReading, WatermarkValue, higher, with_overlap
from syncd.state.feed_digests import decode_watermark, encode_watermark

_AT = datetime.fromisoformat
_MOMENT = datetime.fromisoformat("2026-11-25 01:30")
_NOW = datetime.fromisoformat("2026-11-25 12:00")
#: A database in a zone five and a half hours before UTC.
_CLOCK = DatabaseClock(_NOW, _NOW - timedelta(hours=5, minutes=30))


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
        ("20261125", "20261124"),
        ("20261125T013000", "20261124T233000"),
        ("20261125013000", "20261124233000"),
        ("2026/11/25 01:30", "2026/11/24 23:30"),
        ("2026-11-25 01:30:00  ", "2026-11-24 23:30:00"),
        ("2026-13-25", "2026-13-25"),
        ("0001-01-01", "0001-01-01"),
        (_AT("0001-01-01"), _AT("0001-01-01")),
        (date.min, date.min),
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
    assert higher(17, Decimal("NaN")) == 17


def test_misids_are_queried_in_the_type_of_the_database() -> None:
    reading = WatermarkReading.from_columns("updatedat", ["MISID", "UpdatedAt"], 0, _CLOCK)
    assert (reading.column, reading.misid_column) == ("UpdatedAt", "MISID")
    # The feed returned no row, so none of its rows has to be rechecked.
    assert reading.misids_to_query(["L1", "17"]) == []
    reading.observe([(17, _MOMENT)])
    assert reading.misids_to_query(["L1", "17"]) == [17]
    reading.observe([("L1", _MOMENT)])
    assert reading.misids_to_query(["L1", "17"]) == ["L1", "17"]


def _problem(*values: object) -> str:
    reading = WatermarkReading.from_columns("UpdatedAt", ["MISID", "UpdatedAt"], 0, _CLOCK)
    reading.observe([("L1", value) for value in values])
    return reading.problem


@pytest.mark.parametrize(
    "value",
    [
        _AT("2099-01-01"),
        _AT("9999-12-31 23:59:59.999999"),
        _AT("2026-11-25 14:00:01"),
        datetime(2026, 11, 25, 8, 31, tzinfo=UTC),
        datetime(2026, 11, 25, 14, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        _AT("9999-12-31 23:59:59-05:00"),
        date(2026, 11, 27),
        "2099-01-01",
        "2099-01-01 00:00:00",
        "2026-11-25T14:00:01Z",
        "20991231",
        "20991231235959",
        "2099/12/31 23:59",
        "9999-12-31",
        Decimal("Infinity"),
    ],
)
def test_a_watermark_in_the_future_is_not_believed(value: WatermarkValue) -> None:
    assert "1 row has a value in the future by the database's clock" in _problem(value)
    assert _CLOCK.is_before(value)


@pytest.mark.parametrize(
    "value",
    [
        _NOW,
        _AT("2026-11-25 14:00"),
        datetime(2026, 11, 25, 8, 30, tzinfo=UTC),
        datetime(2026, 11, 25, 14, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        date(2026, 11, 26),
        "2026-11-26",
        "2026-11-25T14:00:00.000",
        "20261125",
        "00001234",
        4_070_908_800,
        Decimal(20991231),
        b"\xff" * 8,
        "FFFF",
    ],
)
def test_a_watermark_within_the_overlap_or_without_a_time_is_believed(value: WatermarkValue) -> None:
    assert _problem(value) == ""
    assert not _CLOCK.is_before(value)


@pytest.mark.parametrize(
    "values",
    [
        ["25/11/2026"],
        ["25-11-2026 12:00"],
        ["5.11.26"],
        ["11/25/2026 01:30 PM"],
        ["25 Nov 2026"],
        ["2026-11-25 01:30 AM"],
        ["2026-1-5", "2026-11-25"],
        ["2026-11-25", "2026-11-25 10:00:00"],
        ["2026-11-25T10:00:00", "2026-11-25 10:00:00"],
        ["2026-11-25T10:00:00+05:30", "2026-11-25T10:00:00+00:00"],
        ["9", "10"],
        ["17.5"],
        [17, "17"],
        [_MOMENT, "infinity"],
        [1.5],
        [timedelta(1)],
    ],
)
def test_values_that_do_not_sort_in_the_order_of_time_are_refused(values: list[object]) -> None:
    assert "the values of UpdatedAt do not sort in the order of time" in _problem(*values)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [None, "2026-11-25 10:00:00", "2026-11-25 10:00", "2026-11-25 10:00:00.123"],
        ["2026-07-25T10:00:00+01:00", "2026-11-25T10:00:00+00:00", "2026-11-25T10:00:00Z"],
        [_MOMENT, None, "0000-00-00 00:00:00", "-infinity"],
        ["00A7", "00B1"],
        ["0x00000000000007D1", "0x00000000000107D2"],
        [1, Decimal("1.5")],
        [b"\x01", memoryview(b"\x02")],
    ],
)
def test_values_of_one_form_are_accepted(values: list[object]) -> None:
    assert _problem(*values) == ""


def test_an_earlier_watermark_counts_as_one_of_the_values() -> None:
    reading = WatermarkReading.from_columns("UpdatedAt", ["MISID", "UpdatedAt"], 0, _CLOCK)
    reading.begin_at("2026-11-25 10:00:00")
    assert reading.problem == ""
    reading.observe([("L1", "26/11/2026 10:00:00")])
    assert "do not sort" in reading.problem


def test_without_a_clock_of_the_database_local_time_and_utc_count() -> None:
    now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    clock = DatabaseClock.of_machine(now)
    for local in (now.replace(tzinfo=None), now.astimezone().replace(tzinfo=None)):
        assert not clock.is_before(local)
    assert clock.is_before(now + timedelta(hours=2, seconds=1))
