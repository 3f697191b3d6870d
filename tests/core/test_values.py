"""What a database driver gives, and what OneFile is sent for it."""

import unicodedata
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.core.fields import Kind
from syncd.core.values import Unusable, read_value
from tests.core.complaints import complaint_about, is_usable

LARGEST_ID = 2_147_483_647
FAR_TOO_LONG = 5_000
"""More digits than Python converts of its own accord."""


def _view(content: bytes) -> memoryview:
    return memoryview(content)


anything = st.one_of(
    st.text(),
    st.binary(),
    st.binary().map(bytearray),
    st.binary().map(_view),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.uuids(),
    st.booleans(),
    st.emails(),
    st.lists(st.integers()),
)


@pytest.mark.parametrize("kind", Kind)
@given(raw=anything)
def test_reading_what_was_read_changes_nothing(kind: Kind, raw: object) -> None:
    with suppress(Unusable):
        value = read_value(kind, raw)
        assert read_value(kind, value) == value


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("blank", [None, "", "  \t\r\n ", b"", "\N{NO-BREAK SPACE}"])
def test_null_and_blank_are_no_value(kind: Kind, blank: object) -> None:
    assert read_value(kind, blank) is None


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in {Kind.TEXT, Kind.LINES}])
@given(text=st.text("жщыю", min_size=4))
def test_what_is_unusable_is_not_repeated_in_the_message(kind: Kind, text: str) -> None:
    for raw in (text, text.encode(), memoryview(text.encode())):
        assert text not in complaint_about(raw, kind)


@pytest.mark.parametrize(
    ("kind", "raw", "trace"),
    [
        (Kind.TEXT, b"Dubcovsk\xff", "Dubcovsk"),
        (Kind.TEXT, "Dubcovsky\x00", "Dubcovsky"),
        (Kind.TEXT, 47.11, "47.11"),
        (Kind.LINES, b"12 Acacia Avenue\xff", "Acacia"),
        (Kind.INTEGER, 4_711_471_147, "4711"),
        (Kind.INTEGER, Decimal("4711.5"), "4711"),
        (Kind.DATE, date(1066, 10, 14), "1066"),
        (Kind.MOMENT, datetime(1066, 10, 14), "1066"),  # noqa: DTZ001 - as a driver gives it
        (Kind.ULN, "9276308687", "9276308687"),
        (Kind.NINO, "QQ471147C", "471147"),
        (Kind.EMAIL, "ann.dubcovsky(at)example.org", "dubcovsky"),
    ],
)
def test_no_message_shows_what_it_is_about(kind: Kind, raw: object, trace: str) -> None:
    assert trace not in complaint_about(raw, kind)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("  Ann \n", "Ann"),
        ("Ann  Marie", "Ann  Marie"),
        (b"Zo\xc3\xab", "Zoë"),
        (bytearray(b"Ann"), "Ann"),
        (memoryview(b"Ann"), "Ann"),
        (100234, "100234"),
        (-5, "-5"),
        (Decimal(100234), "100234"),
        (Decimal("100234.00"), "100234"),
        (Decimal("1E+3"), "1000"),
        (100234.0, "100234"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_text_is_read_from_every_type_a_driver_returns(raw: object, text: str) -> None:
    assert read_value(Kind.TEXT, raw) == text


@given(st.text())
def test_text_comes_out_in_one_normal_form_however_the_mis_spells_it(text: str) -> None:
    with suppress(Unusable):
        composed = read_value(Kind.TEXT, unicodedata.normalize("NFC", text))
        assert read_value(Kind.TEXT, unicodedata.normalize("NFD", text)) == composed
        assert composed is None or unicodedata.is_normalized("NFC", str(composed))


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (True, "is a yes/no value, not text"),
        (b"\xff\xfe", "is not UTF-8 text"),
        ("Ann\x00", "contains a NUL character"),
        (1.5, "is not a whole number"),
        (Decimal("0.1"), "is not a whole number"),
        (float("nan"), "is not a whole number"),
        (float("inf"), "is not a whole number"),
        (Decimal("sNaN"), "is not a whole number"),
        (date(2024, 2, 29), "is a date, not text"),
        (["Ann"], "is a list, not text"),
    ],
)
def test_what_is_not_text_is_called_by_its_name(raw: object, complaint: str) -> None:
    assert complaint_about(raw, Kind.TEXT) == complaint


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        ("1 High Street\r\n\r\n  Leeds \rLS1 1AA\n", "1 High Street\nLeeds\nLS1 1AA"),
        ("1 High Street, Leeds", "1 High Street, Leeds"),
        (b"1 High Street\nLeeds", "1 High Street\nLeeds"),
    ],
)
def test_an_address_keeps_its_lines_and_loses_its_gaps(raw: object, lines: str) -> None:
    assert read_value(Kind.LINES, raw) == lines


@pytest.mark.parametrize("raw", [15379, "15379", " 0015379 ", b"15379", Decimal("15379.0"), 15379.0])
def test_integer_is_read_from_every_type_a_driver_returns(raw: object) -> None:
    value = read_value(Kind.INTEGER, raw)

    assert value == 15379
    assert type(value) is int


@example(LARGEST_ID)
@given(st.integers(0, LARGEST_ID))
def test_every_id_onefile_can_give_is_readable_as_number_and_as_text(number: int) -> None:
    assert read_value(Kind.INTEGER, number) == read_value(Kind.INTEGER, str(number)) == number


@pytest.mark.parametrize("raw", [-1, "-1", Decimal(-1), LARGEST_ID + 1, str(LARGEST_ID + 1), "9" * 100])
def test_an_integer_beyond_what_an_id_can_be_is_out_of_range(raw: object) -> None:
    assert complaint_about(raw, Kind.INTEGER) == "is out of range"


def test_a_number_of_more_digits_than_python_converts_is_out_of_range() -> None:
    for raw in (10**FAR_TOO_LONG, Decimal(f"1E+{FAR_TOO_LONG}")):
        assert complaint_about(raw, Kind.TEXT) == "is out of range"
        assert complaint_about(raw, Kind.INTEGER) == "is out of range"
    assert complaint_about("9" * FAR_TOO_LONG, Kind.INTEGER) == "is out of range"


@pytest.mark.parametrize("raw", ["12a", "1.5", 1.5, "1e3", "1 000", "1,000", "\uff11\uff12", "--1", "²", float("nan")])
def test_what_is_not_a_whole_number_is_no_integer(raw: object) -> None:
    assert complaint_about(raw, Kind.INTEGER) == "is not a whole number"


@pytest.mark.parametrize("raw", [True, date(2024, 2, 29), time(12)])
def test_a_driver_s_value_of_another_type_is_no_integer(raw: object) -> None:
    assert not is_usable(raw, Kind.INTEGER)


@pytest.mark.parametrize("raw", [True, 1, "1", "Y", "yes", "TRUE", "t", b"\x01", b"1", Decimal(1), 1.0])
def test_a_yes_is_read_in_every_shape_a_database_has_for_it(raw: object) -> None:
    assert read_value(Kind.BOOLEAN, raw) is True


@pytest.mark.parametrize("raw", [False, 0, "0", "N", "no", "False", "f", b"\x00", b"0", Decimal(0), 0.0])
def test_a_no_is_read_in_every_shape_a_database_has_for_it(raw: object) -> None:
    assert read_value(Kind.BOOLEAN, raw) is False


@pytest.mark.parametrize("raw", [2, -1, "maybe", b"\x02", "10", 0.5, date(2024, 2, 29)])
def test_what_is_neither_yes_nor_no_is_unusable(raw: object) -> None:
    assert not is_usable(raw, Kind.BOOLEAN)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ("Ann\x02", "contains a control character"),
        (b"\x01", "contains a control character"),
        ("Ann\x7f", "contains a control character"),
        ("O\x92Brien", "has characters of Windows in a column that is said to be Latin-1"),
        ("Ren\ufffd", "has a character that was lost on the way"),
        ("Ann \ud83d", "has a character that was lost on the way"),
    ],
)
@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.LINES, Kind.EMAIL, Kind.INTEGER, Kind.BOOLEAN, Kind.DATE])
def test_control_and_garbled_characters_make_a_value_unusable(raw: object, complaint: str, kind: Kind) -> None:
    if raw == b"\x01" and kind is Kind.BOOLEAN:
        assert read_value(kind, raw) is True
    else:
        assert complaint_about(raw, kind) == complaint


@given(st.text())
def test_every_text_that_is_sent_can_be_written_as_utf_8(text: str) -> None:
    with suppress(Unusable):
        str(read_value(Kind.TEXT, text)).encode()


@pytest.mark.parametrize("raw", [9_007_199_254_740_993.0, 1e17, -1e300])
def test_number_rounded_by_a_float_is_unusable(raw: float) -> None:
    assert complaint_about(raw, Kind.TEXT) == "is too large for a floating-point number, which has rounded it"
    assert not is_usable(raw, Kind.INTEGER)


def test_two_keys_that_a_float_can_tell_apart_stay_two() -> None:
    assert read_value(Kind.TEXT, 9_007_199_254_740_990.0) == "9007199254740990"
    assert read_value(Kind.TEXT, 9_007_199_254_740_991.0) == "9007199254740991"
