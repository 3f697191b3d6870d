"""Taking personal values out of what OneFile says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.redaction import redact
from syncd.core.values import Sent

words = st.text("abcdeé0123", min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("text", "values", "left"),
    [
        ("Email ann@example.org is taken", ["ann@example.org"], "Email … is taken"),
        ("EMAIL ANN@EXAMPLE.ORG IS TAKEN", ["ann@example.org"], "EMAIL … IS TAKEN"),
        ("Ann Example exists", ["Ann", "Ann Example"], "… exists"),
        ("classroom 15379 is full", [15379], "classroom … is full"),
        ("a learner needs a class", ["a"], "… learner needs … class"),
        ("C++ (basic) is no class", ["C++ (basic)"], "… is no class"),
        ("the name 'Ann' is taken", [], "the name … is taken"),
        ('the name "Ann" or "Anne" is taken', [], "the name … is taken"),
        ("the name \u201cAnn\u201d is taken", [], "the name … is taken"),
        ("nothing to hide", ["", None], "nothing to hide"),
        ("", ["Ann"], ""),
    ],
)
def test_a_value_is_left_out_wherever_it_stands_as_a_word(text: str, values: list[Sent], left: str) -> None:
    assert redact(text, values) == left


@given(st.lists(words), st.lists(words))
def test_no_word_that_is_a_value_is_left_and_no_other_word_is_lost(said: list[str], values: list[str]) -> None:
    left = re.findall(r"\w+", redact(" ".join(said), values))

    assert left == [word for word in said if word.lower() not in {value.lower() for value in values}]
