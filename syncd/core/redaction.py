"""Taking personal values out of words that somebody else chose."""

import re
from collections.abc import Iterable
from typing import Final

from syncd.core.values import Sent

_LEFT_OUT: Final = "…"
_QUOTED: Final = re.compile("[\"'\u2018\u201c].+[\"'\u2019\u201d]")


def redact(text: str, values: Iterable[Sent]) -> str:
    """``text`` without any of ``values``, and without whatever stands in quotation marks, as a value might."""
    text = _QUOTED.sub(_LEFT_OUT, text)
    for value in sorted({str(value) for value in values if value not in {None, ""}}, key=len, reverse=True):
        # A value of one letter is found as a word, not in the middle of one.
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _LEFT_OUT, text, flags=re.IGNORECASE)
    return text
