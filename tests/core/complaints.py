"""What is said of a value that cannot be used."""

import pytest
from hypothesis import strategies as st

from syncd.core.fields import Kind
from syncd.core.values import Unusable, is_invisible, read_value

written = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters="\ufffd").filter(
        lambda one: not is_invisible(one)
    ),
    min_size=1,
    max_size=100,
)
"""Text of which no character is one that nobody writes."""


def complaint_about(raw: object, kind: Kind) -> str:
    """The message that reading ``raw`` is refused with; fails the test if it is not refused."""
    with pytest.raises(Unusable) as refusal:
        read_value(kind, raw)
    # Whoever prints the error with a traceback must not see the value in an earlier error either.
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    return str(refusal.value)


def is_usable(raw: object, kind: Kind) -> bool:
    """Whether ``raw`` can be read."""
    try:
        read_value(kind, raw)
    except Unusable:
        return False
    return True
