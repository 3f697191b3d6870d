"""Profiles of the values of a column, to recognise its meaning; never the values themselves."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from syncd.core.fields import Kind, Role
from syncd.core.values import Unusable, read_value


class Shape(StrEnum):
    """A form of values, worded as a proposal shows it."""

    EMAIL = "e-mail addresses"
    ULN = "ten digits with a right check digit"
    NINO = "NI numbers"
    POSTCODE = "postcodes"
    DAY = "dates"
    DAY_FIRST = "dates with the day first, as text"
    MOBILE = "mobile numbers"
    PHONE = "telephone numbers"
    FLAG = "yes or no"
    NUMBER = "numbers"
    CODE = "codes"
    WORDS = "words"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Look:
    """The profile of a few values of one column."""

    shape: Shape | None = None
    """The form of nearly all values that are not empty; ``None`` if they differ, or if there were none."""
    is_distinct: bool = False
    """All values were different, and none was empty."""
    has_gaps: bool = False
    """Some values were empty."""
    roles: Mapping[Role, str] = field(default_factory=dict)
    """The spelling of each role, if the values are only names of roles."""


UNSEEN: Final = Look()

#: The share of values that must have the form; an MIS has invalid values.
_NEARLY_ALL: Final = 0.7

_POSTCODE: Final = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}", re.IGNORECASE)
_DAY_FIRST: Final = re.compile(r"[0-3][0-9]/[01][0-9]/[12][0-9]{3}( .*)?")
_MOBILE: Final = re.compile(r"(\+44|0)7[0-9]{9}")
_PHONE: Final = re.compile(r"(\+|0)[0-9]{9,13}")
_WORDS: Final = re.compile(r"[^\W\d_]+(['’. -]{1,2}[^\W\d_]+)*\.?")  # noqa: RUF001 - a typist's apostrophe
_CODE: Final = re.compile(r"(?=.*[0-9])[\w./-]{2,24}")
_FLAGS: Final = {"y", "n", "yes", "no", "true", "false"}
_CHECKED: Final = {Shape.EMAIL: Kind.EMAIL, Shape.ULN: Kind.ULN, Shape.NINO: Kind.NINO, Shape.DAY: Kind.DATE}

#: The names of roles, including synonyms, without spaces and in lower case.
_ROLES: Final = {
    **{role.replace(" ", "").lower(): role for role in Role},
    "tutor": Role.ASSESSOR,
    "trainer": Role.ASSESSOR,
    "iv": Role.IQA,
    "internalqualityassurer": Role.IQA,
    "internalverifier": Role.IQA,
}


def look_of(values: Iterable[object]) -> Look:
    """Return the profile of these values of one column; NULL and blanks count only as gaps."""
    given = list(values)
    texts = [text for value in given if (text := _text_of(value))]
    if not texts:
        return UNSEEN
    (shape, count), *_ = Counter(map(shape_of, texts)).most_common(1)
    roles = {_ROLES.get(text.replace(" ", "").lower()): text for text in set(texts)}
    return Look(
        shape if count >= _NEARLY_ALL * len(texts) else None,
        len(set(texts)) == len(given),
        len(texts) < len(given),
        {} if None in roles else {role: text for role, text in roles.items() if role},
    )


def shape_of(text: str) -> Shape:
    """Return the form of one value."""
    for shape, kind in _CHECKED.items():
        if _is(kind, text) and (shape is not Shape.DAY or "-" in text):
            return shape
    digits = re.sub(r"[ ()-]", "", text)
    for shape, form, what in (
        (Shape.POSTCODE, _POSTCODE, text),
        (Shape.DAY_FIRST, _DAY_FIRST, text),
        (Shape.MOBILE, _MOBILE, digits),
        (Shape.PHONE, _PHONE, digits),
    ):
        if form.fullmatch(what):
            return shape
    if text.lower() in _FLAGS:
        return Shape.FLAG
    if text.isdecimal():
        return Shape.NUMBER
    if _WORDS.fullmatch(text):
        return Shape.WORDS
    return Shape.CODE if _CODE.fullmatch(text) else Shape.TEXT


def _is(kind: Kind, text: str) -> bool:
    try:
        return read_value(kind, text) is not None
    except Unusable:
        return False


def _text_of(value: object) -> str:
    match value:
        case bool():
            return str(value)
        case date():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode(errors="replace").strip()
        case None:
            return ""
        case _:
            return str(value).strip()
