"""Numbers and lists in words."""

import pytest

from syncd.core.text import join, plural, plurals


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
