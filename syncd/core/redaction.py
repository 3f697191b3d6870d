"""Remove personal values from text that syncd did not write, in whichever form it repeats them."""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self
from urllib.parse import unquote

from syncd.core.text import printable
from syncd.core.values import Sent

_LONGEST: Final = 500
_LEFT_OUT: Final = "…"
_QUOTED: Final = re.compile("[\"'\u2018\u201c].+[\"'\u2019\u201d]")

#: Text may be escaped several times over, such as JSON in HTML.
_ESCAPED_AT_MOST: Final = 5
_ESCAPES: Final = re.compile(r"(?:\\|%)u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")

#: Fields whose words each identify a person: OneFile may repeat one of them, its beginning, or several in one word.
_NAMES: Final = frozenset({"FirstName", "LastName", "Email", "Contact"})
_ADDRESSES: Final = frozenset({"HomeAddress", "WorkAddress", "Address"})
_NUMBERS: Final = frozenset({"MobileNumber", "Telephone", "Fax", "ULN", "NINO"})

#: Shorter beginnings of a name say little about it, and are beginnings of too many other words.
_BEGINNING: Final = 4
#: A name of this length is recognised within any other word.
_UNMISTAKABLE: Final = 5

_WORD: Final = re.compile(r"[^\W_]+")
#: Where a word begins or ends within a longer one, such as in "UserAnn" and "Ann2003".
_SEAMS: Final = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])|(?<=[a-z])(?=[A-Z])")
#: Any, or none; the lines of an address may be separated by an escape.
_SEPARATORS: Final = r"(?:\\[nrt]|[\W_])*"
_SEPARATORS_OF_A_DATE: Final = r"[\W_]+(?:of[\W_]+)?"

_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T.*Z")
_EPOCH: Final = date(1970, 1, 1)


def redact(text: str, *sent: Mapping[str, Sent]) -> str:
    """Return ``text`` without the values in ``sent``, which are by field, and without text in quotation marks.

    The result is printable and has at most 500 characters.

    Escapes are undone first. A value is recognised with other separators, in other letter case and without its accents;
    a date in every usual order; a name also by its beginning, and if it is written together with another one.
    """
    text = unicodedata.normalize("NFC", _unescaped(text))
    values = {
        (name, unicodedata.normalize("NFC", str(value)))
        for each in sent
        for name, value in each.items()
        if value is not None and value != ""
    }
    patterns = {pattern for name, value in values for pattern in _patterns(name, value)}
    for pattern in sorted(patterns, key=len, reverse=True):
        text = re.sub(pattern, _LEFT_OUT, text, flags=re.IGNORECASE)
    return printable(_QUOTED.sub(_LEFT_OUT, _Names.of(values).left_out_of(text)))[:_LONGEST]


def _unescaped(text: str) -> str:
    """Undo the escapes of HTML, URLs, JSON and JavaScript."""
    for _ in range(_ESCAPED_AT_MOST):
        plain = _ESCAPES.sub(lambda found: chr(int(found[1] or found[2], 16)), html.unescape(unquote(text)))
        if plain == text:
            break
        text = plain
    # JSON writes a character of more than 16 bits as two.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _patterns(name: str, value: str) -> Iterator[str]:
    """Patterns of a whole value in its forms."""
    yield _phrase(value)
    if day := _DATE.fullmatch(value):
        yield from _dates(date(*map(int, day.groups())))
    if name in _NUMBERS:
        yield _grouped(value)
    local, at, domain = value.rpartition("@")
    if local and domain:
        # OneFile may cut an address off.
        yield rf"{_phrase(local)}(?:{at}[\w.-]*)?"
        yield _phrase(domain)


def _phrase(value: str) -> str:
    """The pattern of words with any separators between them, or none."""
    words = list(_WORD.finditer(value))
    if not words:
        return re.escape(value)
    before, after = value[: words[0].start()], value[words[-1].end() :]
    middle = _SEPARATORS.join(_spelt(word[0]) for word in words)
    return rf"(?:{re.escape(before)})?(?<![^\W_]){middle}(?![^\W_])(?:{re.escape(after)})?"


def _spelt(word: str) -> str:
    """The pattern of a word, whose letters outside ASCII may have lost their accents or be lost altogether."""
    return "".join(letter if letter.isascii() else _lossy(letter) for letter in word)


def _lossy(letter: str) -> str:
    spellings = {letter, letter.lower(), letter.upper(), _folded(letter)} - {""}
    return f"(?:{'|'.join(map(re.escape, sorted(spellings)))}|[^\\x00-\\x7f]{{1,3}}|\\?{{1,2}})"


def _dates(day: date) -> Iterator[str]:
    """Patterns of a day, and of the one before, which it is in another time zone."""
    for each in (day, day - timedelta(days=1)):
        month = f"(?:0?{each.month}|{each:%B}|{f'{each:%B}'[:4]}|{each:%b})"
        number = f"0?{each.day}(?:st|nd|rd|th)?"
        # The longer pattern is tried first: in 2000/01/02 00:00 the hour must not be taken for the year.
        parts = [
            part
            for year in (f"{each:%Y}", f"{each:%y}")
            for part in ((year, month, number), (number, month, year), (month, number, year))
        ]
        solid = [f"{each:{form}}" for form in ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y", "%m%d%y", "%d%b%Y")]
        for form in (*map(_SEPARATORS_OF_A_DATE.join, parts), *solid):
            yield rf"(?<!\d){form}(?!\d)"
    midnight = (day - _EPOCH).days * 86_400
    # .NET's JSON has milliseconds since 1970. Midnight in summer is an hour earlier in UTC.
    for seconds in (midnight, midnight - 3600):
        yield rf"(?<!\d)-?{abs(seconds)}(?:000)?(?!\d)"


def _grouped(number: str) -> str:
    """The pattern of a number whose characters are in groups; one of a telephone with or without the country."""
    characters = "".join(_WORD.findall(number))
    telephone = re.fullmatch(r"(?:0{0,2}44|0)0?(\d{9,10})", characters)
    prefix = rf"(?:(?:00)?44{_SEPARATORS}0?|0)?{_SEPARATORS}" if telephone else ""
    return rf"(?<![^\W_]){prefix}{_SEPARATORS.join(telephone[1] if telephone else characters)}(?![^\W_])"


def _folded(text: str) -> str:
    """The text in lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in decomposed if not unicodedata.combining(each))


@dataclass(frozen=True, slots=True)
class _Names:
    """The words of values that identify a person, in lower case without accents."""

    names: frozenset[str]
    others: frozenset[str]
    """Words of addresses, and numbers without separators."""

    @classmethod
    def of(cls, values: Iterable[tuple[str, str]]) -> Self:
        """Those in values by field."""
        names: set[str] = set()
        others: set[str] = set()
        for name, value in values:
            words = _WORD.findall(_folded(value.partition("@")[0]))
            if name in _NAMES:
                names.update(words)
            elif name in _ADDRESSES:
                others.update(word for word in words if len(word) >= _BEGINNING)
            elif name in _NUMBERS:
                others.add("".join(words))
        return cls(frozenset(names), frozenset(others))

    def left_out_of(self, text: str) -> str:
        """The text without words that are a name, the beginning of one, or several names in one."""
        return _WORD.sub(lambda word: _LEFT_OUT if self._is_personal(word[0]) else word[0], text)

    def _is_personal(self, word: str) -> bool:
        whole, *parts = (_folded(part) for part in (word, *_SEAMS.split(word)))
        return (
            any(self._is_one(part) for part in {whole, *(part for part in parts if len(part) > 2)})
            or any(len(name) >= _UNMISTAKABLE and name in whole for name in self.names | self.others)
            or self._is_made_of_names(whole)
        )

    def _is_one(self, word: str) -> bool:
        is_long = len(word) >= _BEGINNING
        return any(word == name or (is_long and name.startswith(word)) for name in self.names | self.others)

    def _is_made_of_names(self, word: str) -> bool:
        """Whether a word consists of names, initials and digits, and at least one of the names."""
        initials = {name[0] for name in self.names}
        without, with_one = {0}, set[int]()
        for at, character in enumerate(word):
            ends = {at + len(name) for name in self.names if word.startswith(name, at)}
            if at in without | with_one and (character in initials or character.isdigit()):
                without |= {at + 1} if at in without else set()
                with_one |= {at + 1} if at in with_one else set()
            if at in without | with_one:
                with_one |= {end for end in ends if end - at > 1}
        return len(word) in with_one
