"""Evidence: how likely it is that two records or accounts are about the same person, and which fields say so.

The one place that decides this. Linking, changed MISIDs, next programmes, reused MISIDs and the warning about two
records of one person all use it. No field is a key: one person may have several accounts, and several people may share
a name, an address or a date of birth. So the answer is a degree, with the names of the fields as its reasons.

The rules, the first that applies; a number is the ULN or the NINO, and a value counts as known only if both have it:

=============  =====================================================================================================
certain        a number is equal, and the first name or all names fit, and the DOB is equal, or unknown with equal
               names; or names and DOB are equal and no number differs
likely         a number is equal, and the DOB or a name is; or the last name and the DOB are equal and the first
               names are forms of one name; or names and e-mail are equal, and the DOB is unknown or has day and month
               exchanged; or first name, DOB and e-mail are equal; or the DOB is unknown, the e-mail is equal, and the
               first name fits
possible       a number is equal and all else differs; or names and DOB are equal and a number differs; or names are
               equal and DOB, e-mail and numbers do not decide; or first name and DOB are equal; or the DOB is unknown
               and last name and e-mail are equal
contradicted   everything else: twins share a DOB, a last name and often an address; father and son share a name
=============  =====================================================================================================
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from functools import lru_cache
from sys import intern
from typing import Final, Self

from syncd.core.first_names import are_forms
from syncd.core.text import join

_NO_ULN_YET: Final = "9999999999"
#: Letters that Unicode does not decompose, and how they are typed on a keyboard without them.
_BARE: Final = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
#: Summer time: midnight in London may be answered as 23:00 of the day before (U25).
_SUMMER_TIME: Final = timedelta(hours=1)
_FIELDS: Final = ("FirstName", "LastName", "Email", "DOB", "ULN", "NINO")
_NAMES: Final = {name.lower(): name for name in _FIELDS}
_NUMBERS: Final = frozenset({"ULN", "NINO"})
_SUPPORT: Final = frozenset({*_NUMBERS, "DOB", "Email"})
_NAMES_AND_DOB: Final = frozenset({"FirstName", "LastName", "DOB"})
#: The shortest form of a first name, such as "Jo" for "Joanna".
_SHORTEST_FORM: Final = 2
#: A surname has fewer words; a text of hundreds in its place is not worth so many marks.
_MOST_WORDS: Final = 8
#: The longest form that leaves out letters within, such as "Tom" for "Thomas"; "Chloe" is no form of "Charlotte".
_LONGEST_GAPPED_FORM: Final = 4


class Likeness(StrEnum):
    """How likely two records are about one person, the surest first."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"
    CONTRADICTED = "contradicted"

    @property
    def is_strong(self) -> bool:
        """Whether a person has to say that they are not the same before a second account is created."""
        return self in {Likeness.CERTAIN, Likeness.LIKELY}


@dataclass(frozen=True, slots=True)
class Evidence:
    """How likely two records are about one person, and why: names of fields, never values."""

    likeness: Likeness
    equal: tuple[str, ...] = ()
    """The fields that both have, with the same value."""
    differ: tuple[str, ...] = ()
    """The fields that both have, with different values."""

    @property
    def is_worth_a_question(self) -> bool:
        """Whether a new record is held if the other one is gone: it may be the same person with a new MISID.

        That is more than strong evidence: a number may be corrected together with the MISID, and so may all else.
        """
        if self.likeness is not Likeness.POSSIBLE:
            return self.likeness.is_strong
        return bool(_NUMBERS & set(self.equal)) or set(self.equal) >= _NAMES_AND_DOB

    def __str__(self) -> str:
        """Such as "ULN and DOB equal, LastName differs"."""
        said = [f"{join(self.equal)} equal"] if self.equal else []
        if self.differ:
            said.append(f"{join(self.differ)} {'differ' if len(self.differ) > 1 else 'differs'}")
        return ", ".join(said) or "no field can be compared"


@dataclass(frozen=True, slots=True)
class Traits:
    """The values of a person that can be compared, each normalised; empty if unknown."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    dob: str = ""
    uln: str = ""
    nino: str = ""
    first_words: frozenset[str] = frozenset()
    last_words: frozenset[str] = frozenset()

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> Self:
        """Read fields with OneFile's names, in any letter case."""
        return cls.of_values({_NAMES[name.lower()]: value for name, value in fields.items() if name.lower() in _NAMES})

    @classmethod
    def of_values(cls, values: Mapping[str, object]) -> Self:
        """Read values by their proper names."""
        first, last, email, dob, uln, nino = (str(values.get(name) or "").strip() for name in _FIELDS)
        return cls(
            fold(first),
            fold(last),
            unicodedata.normalize("NFC", email).casefold(),
            # Many people have the same one, which is kept once.
            intern(read_day(dob)),
            "" if uln == _NO_ULN_YET else uln,
            "".join(nino.split()).upper(),
            _words(first),
            _words(last),
        )

    @property
    def values(self) -> tuple[str, ...]:
        """The values, in the order of OneFile's names in `_FIELDS`."""
        return self.first_name, self.last_name, self.email, self.dob, self.uln, self.nino

    def marks(self) -> Iterator[tuple[str, ...]]:
        """Return what another record of the person has as well if the two are likely to be one, or possibly.

        Records that share no mark need not be compared. Each mark is its kind and its values.
        """
        if self.uln:
            yield "uln", self.uln
        if self.nino:
            yield "nino", self.nino
        if self.email:
            yield "email", self.email
        if self.first_name and self.last_name:
            yield "names", *sorted(self.first_words | self.last_words)
        for word in sorted(self.last_words)[:_MOST_WORDS] if self.dob else ():
            yield "birth", word, self.dob


@lru_cache(maxsize=65536)
def fold(name: str) -> str:
    """Return a name without what varies in spelling: case, accents, apostrophes, hyphens, blanks."""
    # Decomposed again after case folding, which adds accents in a few scripts.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(character for character in folded if character.isalnum()).translate(_BARE)


def compare(one: Traits, other: Traits) -> Evidence:
    """Return how likely two records are about one person; the order of the two does not matter."""
    names = _names(one, other)
    pairs = dict(zip(_FIELDS, zip(one.values, other.values, strict=True), strict=True))
    known = {name: pair for name, pair in pairs.items() if all(pair)}
    equal = tuple(
        name for name, (ours, theirs) in known.items() if ours == theirs or (names is _Names.EQUAL and "Name" in name)
    )
    differ = tuple(name for name in known if name not in equal)
    likeness = _likeness(names, frozenset(equal), frozenset(differ), _is_exchanged(one.dob, other.dob))
    return Evidence(likeness, equal, differ)


def is_replaced(before: Traits, now: Traits) -> bool:
    """Whether the values under one MISID have become those of another person.

    People change their surname, their first name or their address, and a DOB or a number may be corrected; they do not
    change all of them at once.
    """
    names, evidence = _names(before, now), compare(before, now)
    equal, differ = frozenset(evidence.equal), frozenset(evidence.differ)
    is_number_other = bool(differ & _NUMBERS) and not equal & _NUMBERS
    is_dob_other = "DOB" in differ and not _is_exchanged(before.dob, now.dob)
    match names:
        case _Names.DIFFERENT:
            return not evidence.likeness.is_strong
        case _Names.FIRST:
            return (is_number_other or is_dob_other) and not equal & _SUPPORT
        case _Names.LAST:
            # A first name is corrected, but seldom together with all else.
            return not equal & _SUPPORT
        case _:
            return is_number_other and is_dob_other and "Email" not in equal


def names_fit(one: Traits, other: Traits) -> bool:
    """Whether two people have the same names, or one has another form or a part of the other's."""
    return _names(one, other).fit


class _Names(Enum):
    """How the names of two records relate."""

    EQUAL = auto()
    SIMILAR = auto()
    """Both fit, and one of them is another form: a short first name, a part of a double surname."""
    FIRST = auto()
    """Only the first name fits."""
    LAST = auto()
    """Only the last name fits."""
    DIFFERENT = auto()
    UNKNOWN = auto()

    @property
    def fit(self) -> bool:
        """Whether both names fit."""
        return self in {_Names.EQUAL, _Names.SIMILAR}


def _names(one: Traits, other: Traits) -> _Names:
    if not (one.first_name or one.last_name) or not (other.first_name or other.last_name):
        return _Names.UNKNOWN
    if (one.first_name, one.last_name) == (other.first_name, other.last_name):
        return _Names.EQUAL
    if one.first_words | one.last_words == other.first_words | other.last_words:
        # In another order, or divided in another way.
        return _Names.EQUAL
    first_fits, last_fits = _is_form(one, other), _is_part(one.last_words, other.last_words)
    if first_fits and last_fits:
        return _Names.SIMILAR
    if first_fits:
        return _Names.FIRST
    return _Names.LAST if last_fits else _Names.DIFFERENT


def _likeness(names: _Names, equal: frozenset[str], differ: frozenset[str], dob_is_exchanged: bool) -> Likeness:
    dob, email = "DOB" in equal, "Email" in equal
    no_dob = "DOB" not in equal | differ
    if equal & _NUMBERS:
        return _with_number(names, dob=dob, no_dob=no_dob, is_contradicted=bool(differ & _NUMBERS))
    if differ & _NUMBERS:
        return Likeness.POSSIBLE if names is _Names.EQUAL and dob else Likeness.CONTRADICTED
    if dob:
        return _with_dob(names, email=email)
    if dob_is_exchanged:
        return (Likeness.LIKELY if email else Likeness.POSSIBLE) if names.fit else Likeness.CONTRADICTED
    if no_dob and email:
        return _with_email(names)
    return Likeness.POSSIBLE if no_dob and names.fit else Likeness.CONTRADICTED


def _with_number(names: _Names, *, dob: bool, no_dob: bool, is_contradicted: bool) -> Likeness:
    if is_contradicted:
        return Likeness.LIKELY if names.fit or dob else Likeness.POSSIBLE
    if names.fit or (dob and names in {_Names.FIRST, _Names.UNKNOWN}):
        return Likeness.CERTAIN
    if dob or names is _Names.FIRST or (no_dob and names is not _Names.DIFFERENT):
        return Likeness.LIKELY
    return Likeness.POSSIBLE


def _with_dob(names: _Names, *, email: bool) -> Likeness:
    match names:
        case _Names.EQUAL:
            return Likeness.CERTAIN
        case _Names.SIMILAR:
            return Likeness.LIKELY
        case _Names.FIRST:
            # A new surname, or two people with one first name and one DOB.
            return Likeness.LIKELY if email else Likeness.POSSIBLE
        case _Names.UNKNOWN:
            return Likeness.LIKELY if email else Likeness.CONTRADICTED
        case _:
            return Likeness.CONTRADICTED


def _with_email(names: _Names) -> Likeness:
    match names:
        case _Names.EQUAL | _Names.SIMILAR | _Names.FIRST:
            return Likeness.LIKELY
        case _Names.LAST | _Names.UNKNOWN:
            return Likeness.POSSIBLE
        case _:
            # An address that several people share, such as an office's.
            return Likeness.CONTRADICTED


def _is_form(one: Traits, other: Traits) -> bool:
    """Whether two first names are forms of one name: "Tom" and "Thomas", "Mary" and "Mary Jane", "Bob" and "Robert"."""
    if one.first_name == other.first_name or _is_part(one.first_words, other.first_words):
        return bool(one.first_name)
    if are_forms(one.first_name, other.first_name):
        return True
    short, long = sorted((one.first_name, other.first_name), key=len)
    if len(short) < _SHORTEST_FORM or short[0] != long[0]:
        return False
    if len(short) > _LONGEST_GAPPED_FORM:
        return long.startswith(short)
    letters = iter(long)
    return all(letter in letters for letter in short)


def _is_part(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one) and bool(other) and (one <= other or other <= one)


@lru_cache(maxsize=65536)
def _words(name: str) -> frozenset[str]:
    # An apostrophe divides no name.
    parts = re.split(r"[\s\-\u2010-\u2015]+", name)
    return frozenset(word for part in parts if (word := fold(part)))


def _is_exchanged(one: str, other: str) -> bool:
    """Whether two dates are one with day and month exchanged."""
    return bool(one and other) and one != other and one == f"{other[:4]}-{other[8:]}-{other[5:7]}"


def read_day(text: str) -> str:
    """Return the calendar day of a date as OneFile writes it (§15); empty if it is not a date."""
    try:
        return (datetime.fromisoformat(text) + _SUMMER_TIME).date().isoformat()
    except (ValueError, OverflowError):
        return ""
