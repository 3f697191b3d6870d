"""Remove personal values from text that syncd did not write."""

import re
from collections.abc import Iterable
from typing import Final

from syncd.core.values import Sent

_LEFT_OUT: Final = "…"
_QUOTED: Final = re.compile("[\"'\u2018\u201c].+[\"'\u2019\u201d]")


def redact(text: str, values: Iterable[Sent]) -> str:
    """Return ``text`` without ``values``, and without text in quotation marks, which may be a value."""
    text = _QUOTED.sub(_LEFT_OUT, text)
    for value in sorted({str(value) for value in values if value not in {None, ""}}, key=len, reverse=True):
        # A value of one letter is removed as a word, not from the middle of one.
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _LEFT_OUT, text, flags=re.IGNORECASE)
    return text
