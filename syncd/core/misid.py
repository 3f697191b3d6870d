"""MISIDs: which are usable as a key, and when two of them are the same key or look alike.

The rules hold for the MIS and for OneFile alike: both are read with `canonical`. OneFile's own comparison is unknown
(§16), so syncd never relies on it.
"""

import re
import unicodedata
from typing import Final

from syncd.core.values import Unusable, decode_text, describe_character, is_invisible

#: The size of the column in the state store.
_LONGEST: Final = 255

_BLANKS: Final = re.compile(r"\s+")

#: A whole number in a column of decimals or floats, as text: what a spreadsheet or a CAST makes of it.
_WITH_DECIMALS: Final = re.compile(r"(-?[0-9]+)\.0+")


def read_misid(raw: object) -> str | None:
    """Return the MISID in a value of a database, in its canonical form; ``None`` if it is NULL or blank.

    Raises `Unusable` for a value that is not text, and for text that people cannot tell from other text.
    """
    text = None if raw is None else decode_text(raw)
    if text is None:
        return None
    misid = canonical(text)
    if not (misid.isascii() and misid.isprintable()):
        for character in misid:
            if is_invisible(character):
                raise Unusable(f"contains an invisible character ({describe_character(character)})")
    if len(misid) > _LONGEST:
        raise Unusable(f"is longer than {_LONGEST} characters")
    return misid or None


def canonical(misid: str) -> str:
    """Return a MISID without what does not make it another key.

    These are blanks at its ends, the width and number of blanks within it, how its accents are encoded, and the
    decimals of a whole number: 1001.0 is 1001, as a number and as text. A line end or a tab within it is kept, because
    `read_misid` refuses it.
    """
    composed = unicodedata.normalize("NFC", misid).strip()
    if composed.isascii() and "  " not in composed:
        return _without_decimals(composed)
    return re.sub(" +", " ", "".join(" " if unicodedata.category(one) == "Zs" else one for one in composed))


def skeleton(misid: str) -> str:
    """Return what lookalikes have in common.

    It has no blanks, no invisible characters, no case, no width, no leading zeros, and no decimals of a whole number.
    Two MISIDs look alike if they differ and their skeletons are equal.
    """
    text = misid
    if not (text.isascii() and text.isprintable()):
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        text = "".join(one for one in text if not is_invisible(one))
    text = _without_decimals(_BLANKS.sub("", text).casefold())
    return text.lstrip("0") or text[:1]


def _without_decimals(text: str) -> str:
    found = _WITH_DECIMALS.fullmatch(text) if text.endswith("0") and "." in text else None
    return found[1] if found else text


def numeric_value(misid: str) -> float | None:
    """Return the number that a MISID becomes if it is not kept as text; ``None`` if it is not a number.

    Several MISIDs become one number: leading zeros are lost, and digits beyond the sixteenth.
    """
    try:
        return float(misid)
    except ValueError:
        return None
