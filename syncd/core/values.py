"""Convert values of a database to those that OneFile is sent, or reject them.

Every reader takes one raw value that is not NULL and returns the value to send, or ``None`` if it is empty. It raises
`Unusable`, which says what is wrong and never repeats the value.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeAlias
from uuid import UUID

from syncd.core.fields import Kind

Value: TypeAlias = str | int | bool
"""A field's value as it is sent to OneFile; dates are text."""

Sent: TypeAlias = Value | None
"""A value in an update: ``None`` only if the operator has chosen to clear with null."""


class Unusable(ValueError):
    """The value is not valid for the field."""


_LARGEST_INTEGER: Final = 2**31 - 1
_LARGEST_EXACT_FLOAT: Final = 2**53 - 1
_EARLIEST_YEAR: Final = 1900
_LATEST_YEAR: Final = 2100

#: Dates that mean "no date": the epochs of .NET, Access and SQL Server. No learner was born on them.
_NO_DAYS: Final = {date(1, 1, 1), date(1899, 12, 30), date(1900, 1, 1)}
_ZERO_DATE: Final = re.compile(r"0000-00-00([ T]00:00:00(\.0+)?)?")

#: Invalid: control characters of ASCII except white space, those of Latin-1, surrogates, U+FFFD, and characters that
#: Unicode gives to nobody.
_NO_CHARACTERS: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffd-\uffff\U000f0000-\U0010ffff]"
)

#: Longer text is no value of a person, but a mistake of the query.
_LONGEST_LINE: Final = 255
_LONGEST_TEXT: Final = 4000

_LINE_ENDS: Final = "\n\r\x0b\x0c\x1c\x1d\x1e\u2028\u2029"

#: Characters without a shape of their own that Unicode does not count as format characters: joiners, fillers and
#: variation selectors (Default_Ignorable_Code_Point), and the blank of Braille.
_WITHOUT_SHAPE: Final = (
    range(0x34F, 0x350),
    range(0x115F, 0x1161),
    range(0x17B4, 0x17B6),
    range(0x180B, 0x1810),
    range(0x2800, 0x2801),
    range(0x3164, 0x3165),
    range(0xFE00, 0xFE10),
    range(0xFFA0, 0xFFA1),
    range(0xE0000, 0xE1000),
)
#: Spelling needs a joiner or its opposite within the words of Arabic, Persian and Indian scripts, which lie here.
_JOINERS: Final = "\u200c\u200d"
_JOINED_SCRIPTS: Final = range(0x600, 0x1100)

_INTEGER_SHAPE: Final = re.compile(r"-?[0-9]+")
#: A local part that is valid with any domain.
_PLAIN_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*")
#: No part of an address of this length is too long.
_SURELY_SHORT: Final = 64
#: Letters and their accents in an address; modifier letters, such as apostrophes, are not among them.
_LETTERS: Final = frozenset({"Ll", "Lu", "Lt", "Lo", "Mn", "Mc"})
#: The last parts of names that networks use only for themselves.
_INTERNAL_DOMAINS: Final = frozenset(
    {"corp", "home", "internal", "intranet", "lan", "local", "localdomain", "localhost", "private"}
)

#: No learner or member of staff is younger or older, in years.
_YOUNGEST: Final = 10
_OLDEST: Final = 110

#: The characters that Windows has for the bytes 80 to 9F, as those of Latin-1.
_FROM_WINDOWS: Final = {
    ord(bytes([byte]).decode("cp1252")): byte for byte in range(0x80, 0xA0) if byte not in b"\x81\x8d\x8f\x90\x9d"
}
_NO_ULN_YET: Final = "9999999999"
_ULN_SHAPE: Final = re.compile(r"[1-9][0-9]{9}")
_NINO_SHAPE: Final = re.compile(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]")

_BOOLEANS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}


def read_value(kind: Kind, raw: object) -> Value | None:
    """Return the value to send for ``raw`` in a field of this kind.

    Takes any value of a database driver. Returns ``None`` for NULL and for blank values. Raises `Unusable`.
    """
    return None if raw is None else _READERS[kind](raw)


def read_text(raw: object) -> str | None:
    """Return a value as one line of visible text without blanks at its ends; ``None`` if nothing is left.

    Raises `Unusable`.
    """
    text = decode_text(raw)
    if text is not None:
        _check_visible(text, _LONGEST_LINE)
    return text


def decode_text(raw: object) -> str | None:
    """Return a value as text without blanks at its ends, which may have invisible characters within it.

    Raises `Unusable`.
    """
    match raw:
        case str():
            text = raw
        case bytes() | bytearray() | memoryview():
            try:
                text = bytes(raw).decode()
            except UnicodeDecodeError:
                raise Unusable("is not UTF-8 text") from None
        case bool():
            raise Unusable("is a yes/no value, not text")
        case UUID():
            text = str(raw)
        case int():
            text = _digits(raw)
        case Decimal() | float():
            text = _digits(_whole(raw))
        case tuple():
            raise Unusable("is a composite of several values, not text")
        case _:
            raise Unusable(f"is a {type(raw).__name__}, not text")
    if not (text.isascii() and text.isprintable()) and (found := _NO_CHARACTERS.search(text)):
        raise Unusable(GARBLED if is_garbled(text) else _what_is_wrong_with(found[0]))
    return unicodedata.normalize("NFC", text).strip() or None


def _check_visible(text: str, longest: int, *, allowed: str = "") -> None:
    """Raise `Unusable` for text that is too long, or has a character that is not to be seen and not ``allowed``."""
    if len(text) > longest:
        raise Unusable(f"is longer than {longest:,} characters")
    if text.isascii() and text.isprintable():
        return
    before = ""
    for character in text:
        is_spelling = character in _JOINERS and before != "" and ord(before) in _JOINED_SCRIPTS
        if is_invisible(character) and character not in allowed and not is_spelling:
            raise Unusable(GARBLED if is_garbled(text) else _what_is_invisible(character))
        before = character


def is_invisible(character: str) -> bool:
    """Whether a character is a control or format character, a line end, or one without a shape; a blank is not."""
    category = unicodedata.category(character)
    return category in {"Cc", "Cf", "Zl", "Zp"} or any(ord(character) in each for each in _WITHOUT_SHAPE)


def describe_character(character: str) -> str:
    """Return the number and the name of a character in Unicode, such as "U+200B zero width space"."""
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}{' ' + name.lower() if name else ''}"


def _what_is_invisible(character: str) -> str:
    if character in _LINE_ENDS:
        return "has more than one line"
    if character == "\t":
        return "contains a tab"
    return f"contains an invisible character ({describe_character(character)})"


GARBLED: Final = "looks like UTF-8 text that was read as Latin-1, which makes two characters of one"
"""What is wrong with a value of which `is_garbled` is true."""


def is_garbled(raw: object) -> bool:
    """Whether a value is text whose characters are, as bytes of Latin-1 or of Windows, those of other text in UTF-8."""
    match raw:
        case str():
            text = raw
        case bytes() | bytearray() | memoryview():
            text = bytes(raw).decode(errors="replace")
        case _:
            return False
    try:
        return not text.isascii() and bool(text.translate(_FROM_WINDOWS).encode("latin-1").decode())
    except UnicodeError:
        return False


def _what_is_wrong_with(character: str) -> str:
    if character == "\x00":
        return "contains a NUL character"
    if "\x80" <= character <= "\x9f":
        # Windows has quotation marks and dashes where Latin-1 has these.
        return "has characters of Windows in a column that is said to be Latin-1"
    if character > "\x9f":
        return "has a character that was lost on the way"
    return "contains a control character"


def _lines(raw: object) -> str | None:
    text = decode_text(raw) or ""
    _check_visible(text, _LONGEST_TEXT, allowed=f"{_LINE_ENDS}\t")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line) or None


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # more than 4,300 of them
        raise Unusable("is out of range") from None


def _whole(raw: Decimal | float) -> int:
    try:
        whole = int(raw)
    except (ValueError, OverflowError):
        raise Unusable("is not a whole number") from None
    if whole != raw:
        raise Unusable("is not a whole number")
    if isinstance(raw, float) and abs(whole) > _LARGEST_EXACT_FLOAT:
        raise Unusable("is too large for a floating-point number, which has rounded it")
    return whole


def _integer(raw: object) -> int | None:
    if isinstance(raw, int) and not isinstance(raw, bool):
        number = raw
    else:
        text = decode_text(raw)
        if text is None:
            return None
        if not _INTEGER_SHAPE.fullmatch(text):
            raise Unusable("is not a whole number")
        # No id is longer, and Python refuses to read thousands of digits.
        number = int(text) if len(text) <= 20 else _LARGEST_INTEGER + 1
    if not 0 <= number <= _LARGEST_INTEGER:
        raise Unusable("is out of range")
    return number


def _boolean(raw: object) -> bool | None:
    if isinstance(raw, bool):
        return raw
    # MySQL's BIT(1) arrives as one byte.
    text = str(raw[0]) if isinstance(raw, bytes) and raw in (b"\x00", b"\x01") else read_text(raw)
    if text is None:
        return None
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise Unusable("is not a yes/no value") from None


def _moment_of(raw: object) -> datetime | None:
    """Return the time; ``None`` also for a date that means "no date": MySQL's zero, or another system's epoch."""
    if isinstance(raw, datetime):
        moment = raw
    elif isinstance(raw, date):
        moment = datetime(raw.year, raw.month, raw.day)  # noqa: DTZ001 - a calendar day has no zone
    else:
        text = read_text(raw)
        if text is None or _ZERO_DATE.fullmatch(text):
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Unusable("is not an ISO 8601 date") from None
    if moment.date() in _NO_DAYS and not (moment.hour or moment.minute or moment.second):
        return None
    if not _EARLIEST_YEAR <= moment.year <= _LATEST_YEAR:
        raise Unusable(f"is outside the years {_EARLIEST_YEAR} to {_LATEST_YEAR}")
    return moment


def _date(raw: object) -> str | None:
    moment = _moment_of(raw)
    # The day as the MIS has it, with no zone shift: §15.
    return None if moment is None else f"{moment:%Y-%m-%d}T00:00:00.000Z"


def _moment(raw: object) -> str | None:
    moment = _moment_of(raw)
    if moment is None:
        return None
    in_utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{in_utc:%Y-%m-%dT%H:%M:%S}.{in_utc.microsecond // 1000:03d}Z"


def check_birth(day: Value, today: date) -> None:
    """Raise `Unusable` for a day of birth, as it is sent, that no learner or member of staff has."""
    born = date.fromisoformat(str(day)[:10])
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if born > today:
        raise Unusable("is in the future")
    if years < _YOUNGEST:
        raise Unusable(f"is less than {_YOUNGEST} years ago")
    if years > _OLDEST:
        raise Unusable(f"is more than {_OLDEST} years ago")


def _email(raw: object) -> str | None:
    text = decode_text(raw)
    if text is None:
        return None
    domain = text.rpartition("@")[2].lower()
    network, _, last = domain.rpartition(".")
    if network and last in _INTERNAL_DOMAINS:
        raise Unusable(f"ends with .{last}, a name within a network, which no mail from OneFile reaches")
    if not text.isascii():
        _check_letters(text)
    if not _is_address(text):
        raise Unusable("is not an e-mail address")
    return text


def _check_letters(address: str) -> None:
    """Raise `Unusable` for characters that a person types by mistake, or copies, instead of those of the address."""
    alphabets = {_alphabet(each) for each in address if each.isalpha()}
    for character in address:
        is_letter = unicodedata.category(character) in _LETTERS and unicodedata.is_normalized("NFKC", character)
        if not character.isascii() and (not is_letter or is_invisible(character)):
            raise Unusable(f"contains {describe_character(character)}, which is in no e-mail address")
    if len(alphabets) > 1:
        raise Unusable(f"mixes letters that look alike: {' and '.join(sorted(alphabets))}")


def _alphabet(letter: str) -> str:
    """The alphabet of a letter, such as "Latin", which its name in Unicode begins with."""
    return unicodedata.name(letter, "unknown").partition(" ")[0].capitalize()


def _is_address(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    if len(text) <= _SURELY_SHORT and _PLAIN_LOCAL_PART.fullmatch(local):
        # Validating a domain takes half as long as the rest of a record, and there are few domains.
        return _is_address_as_a_whole(f"a@{domain}")
    return _is_address_as_a_whole(text)


@lru_cache(maxsize=4096)
def _is_address_as_a_whole(text: str) -> bool:
    # Imported here, so that only commands that read a feed wait for it.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return False
    return True


def _uln(raw: object) -> str | None:
    text = read_text(raw)
    if text is None or text == _NO_ULN_YET:
        return text
    if not _ULN_SHAPE.fullmatch(text):
        raise Unusable("is not ten digits")
    # Weights 10 to 1, and the sum leaves 10 when divided by 11: §15.
    if sum(weight * int(digit) for weight, digit in zip(range(10, 0, -1), text, strict=True)) % 11 != 10:
        raise Unusable("has a wrong check digit")
    return text


def _nino(raw: object) -> str | None:
    text = "".join((read_text(raw) or "").split()).upper()
    if text and not _NINO_SHAPE.fullmatch(text):
        raise Unusable("is not an NI number")
    return text or None


_READERS: Final[dict[Kind, Callable[[object], Value | None]]] = {
    Kind.TEXT: read_text,
    Kind.LINES: _lines,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.MOMENT: _moment,
    Kind.EMAIL: _email,
    Kind.ULN: _uln,
    Kind.NINO: _nino,
}
