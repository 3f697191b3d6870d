"""Numbers and lists in words."""

import json
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.core.spreadsheet import as_text, from_text
from syncd.core.text import join, plural, plurals, printable


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1200, "1,200 runs")],
)
def test_a_noun_agrees_with_its_number(count: int, words: str) -> None:
    assert plural(count, "run") == words


def test_an_irregular_plural_is_used_except_for_one() -> None:
    assert [plural(count, "person", "people") for count in (0, 1, 2)] == ["0 people", "1 person", "2 people"]


@pytest.mark.parametrize(
    ("words", "sentence"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_joined_as_in_a_sentence(words: list[str], sentence: str) -> None:
    assert join(words) == sentence


def test_numbers_of_zero_are_left_out() -> None:
    assert plurals({"create": 2, "update": 0, "leaver": 1}, none="nothing") == "2 creates and 1 leaver"
    assert plurals({"create": 0}, none="nothing") == "nothing"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë 王 O'Neil, 12 High\u00a0Street", "Zoë 王 O'Neil, 12 High\u00a0Street"),
        ("\x1b[2J\x1b]0;title\x07", "\\u001b[2J\\u001b]0;title\\u0007"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\u0085d"),
        ("L1\nL2\r\tL3", "L1\\u000aL2\\u000d\\u0009L3"),
        ("\ud800\ufeff\U000e0041", "\\ud800\\ufeff\\udb40\\udc41"),
        ("", ""),
    ],
)
def test_controls_and_invisible_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_every_character_that_is_not_to_be_printed_is_escaped_and_no_letter_is() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    left = [each for each in characters if printable(each) == each]

    assert not {each for each in left if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    letters = {each for each in characters if unicodedata.category(each)[0] in "LMNPS"}
    assert letters <= set(left)


def test_characters_that_are_to_stay_do() -> None:
    assert printable("a\nb\x1b", keep="\n") == "a\nb\\u001b"


@given(st.text())
def test_json_stays_the_same_document(text: str) -> None:
    document = json.dumps({text: text}, ensure_ascii=False)

    assert json.loads(printable(document)) == json.loads(document)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("\x1b=1", "\\u001b=1"),
        ("\u202e=1", "\\u202e=1"),
        ("\t=1", "'\t=1"),
        ("\r=1", "\\u000d=1"),
        ("-2", "'-2"),
        ("12 High Street\nExampleton", "12 High Street\nExampleton"),
    ],
)
def test_cell_is_printable_and_no_formula(cell: str, shown: str) -> None:
    assert as_text(cell) == shown


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("\u00ad\u202e\U000e0041")
@example("B\u00adC \\u0041 \\u")
def test_cell_is_read_as_it_was_written(cell: str) -> None:
    assert from_text(as_text(cell)) == cell
