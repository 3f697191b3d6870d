"""Which MISIDs are usable, and when two of them are one key, look alike, or are different."""

import json
import unicodedata
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.misid import canonical, numeric_value, read_misid, skeleton
from syncd.core.values import Unusable, is_invisible
from tests.support.cases import rows_of

INVISIBLE = [
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u200e",
    "\u202e",
    "\u180e",
    "\u034f",
    "\u2800",
    "\u3164",
    "\ufe0f",
    "\n",
    "\r\n",
    "\t",
    "\x0b",
    "\u2028",
    "\U000e0041",
]


def relation(known: object, new: object) -> str:
    """What the second MISID is to the first."""
    try:
        first, second = read_misid(known), read_misid(new)
    except Unusable:
        return "unusable"
    assert first is not None
    assert second is not None
    if first == second:
        return "same"
    return "lookalike" if skeleton(first) == skeleton(second) else "other"


@pytest.mark.shared_data
def test_cases_of_keys_have_the_right_relation() -> None:
    rows = rows_of("keys.csv")

    assert len(rows) >= 15
    for row in rows:
        assert relation(json.loads(row["known"]), json.loads(row["new"])) == row["right"], row


@pytest.mark.parametrize("character", INVISIBLE)
def test_invisible_character_within_a_misid_is_refused_and_named(character: str) -> None:
    with pytest.raises(Unusable, match=r"invisible character|control character") as refused:
        read_misid(f"L{character}1001")

    assert "1001" not in str(refused.value)


@pytest.mark.parametrize("blank", [" ", "  ", "\u00a0", "\u2007", "\u3000", " \u00a0 ", "\u202f"])
def test_blanks_of_any_width_and_number_make_no_other_key(blank: str) -> None:
    assert read_misid(f"{blank}ab{blank}12{blank}") == "ab 12"


@pytest.mark.parametrize("text", ["1001.0", "1001.00", " 1001.0 ", 1001.0, Decimal("1001.00"), b"1001.0", 1001])
def test_whole_number_with_decimals_is_the_key_without_them(text: object) -> None:
    assert read_misid(text) == "1001"


@pytest.mark.parametrize("text", ["1001.5", "1001.01", "A1.0", "1.0.0", ".0", "1001.", "1e3", "1001.0a", "1,001.0"])
def test_other_dots_in_a_misid_stay(text: str) -> None:
    assert read_misid(text) == text


@pytest.mark.parametrize("end", ["\n", "\r\n", "\t", "\u2028", " \n"])
def test_line_end_at_the_end_of_a_misid_is_trimmed(end: str) -> None:
    assert read_misid(f"L1001{end}") == "L1001"


@pytest.mark.parametrize(
    ("known", "new"),
    [
        ("ab12", "AB12"),
        ("ab12", "ab 12"),
        ("ab12", "\uff41\uff42\uff11\uff12"),
        ("123", "000123"),
        ("0", "000"),
        ("stra\u00dfe", "STRASSE"),
        ("\u00c9mile", "\u00e9mile"),
        ("ab", "00 AB"),
        ("123", "0123.0"),
        ("123", "\uff11\uff12\uff13.\uff10"),
        ("123", "12 3.0"),
    ],
)
def test_case_width_blanks_and_leading_zeros_make_lookalikes(known: str, new: str) -> None:
    assert relation(known, new) == relation(new, known) == "lookalike"


@pytest.mark.parametrize(
    ("known", "new"),
    [("L-1", "L1"), ("cafe", "caf\u00e9"), ("100", "1"), ("A/1", "A1"), ("10", "01"), ("0", "1"), ("L1", "L01")],
)
def test_other_differences_make_other_keys(known: str, new: str) -> None:
    assert relation(known, new) == "other"


def test_misid_longer_than_its_column_is_refused() -> None:
    assert read_misid("9" * 255) == "9" * 255
    with pytest.raises(Unusable, match="longer than 255"):
        read_misid("9" * 256)


@pytest.mark.parametrize(
    ("misid", "number", "is_same"),
    [
        ("00123", "123", True),
        ("0123", "123", True),
        ("123", "0123", True),
        ("1E5", "100000.0", True),
        ("12345678901234567890", "1.2345678901234567e+19", True),
        ("124", "123", False),
        ("A123", "123", False),
        ("", "0", False),
    ],
)
def test_number_stands_for_every_misid_that_it_may_come_from(misid: str, number: str, is_same: bool) -> None:
    value = numeric_value(misid)

    assert (value is not None and value == numeric_value(number)) is is_same


@pytest.mark.parametrize("empty", [None, "", "  ", "\u00a0", "\n"])
def test_blank_misid_is_empty(empty: object) -> None:
    assert read_misid(empty) is None


@given(st.text(max_size=12))
def test_canonical_form_stays_as_it_is(text: str) -> None:
    once = canonical(text)

    assert canonical(once) == once
    assert skeleton(once) == skeleton(canonical(unicodedata.normalize("NFD", text)))


@given(st.text(max_size=12))
def test_misid_that_is_read_has_no_invisible_character(text: str) -> None:
    try:
        misid = read_misid(text)
    except Unusable:
        return
    assert misid is None or not any(map(is_invisible, misid))
    assert misid is None or read_misid(misid) == misid


@given(st.text("10.- ", max_size=8))
def test_number_has_one_key_whatever_it_is_written_as(text: str) -> None:
    key = canonical(text)

    assert canonical(key) == key
    if key.isdecimal():
        assert canonical(f"{key}.0") == canonical(f"{key}.00") == key


@given(st.lists(st.sampled_from("aA0 \u00a01\uff21"), min_size=1, max_size=4).map("".join))
def test_lookalikes_are_lookalikes_in_all_pairs(text: str) -> None:
    variants = {text, text.upper(), f"0{text}", f"{text[:1]} {text[1:]}", f" {text}"}
    usable = {misid for each in variants if (misid := read_misid(each))}

    assert all(relation(one, other) == "lookalike" for one, other in combinations(usable, 2))
