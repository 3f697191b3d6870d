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

#: Invalid: control characters of ASCII except white space, those of Latin-1, surrogates, and U+FFFD.
_NO_CHARACTERS: Final = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x9f\ud800-\udfff\ufffd]")

_INTEGER_SHAPE: Final = re.compile(r"-?[0-9]+")
#: A local part that is valid with any domain.
_PLAIN_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*")
#: No part of an address of this length is too long.
_SURELY_SHORT: Final = 64
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
    """Return a value as text without blanks at its ends; ``None`` if nothing is left. Raises `Unusable`."""
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
        case _:
            raise Unusable(f"is a {type(raw).__name__}, not text")
    if not (text.isascii() and text.isprintable()) and (found := _NO_CHARACTERS.search(text)):
        raise Unusable(_what_is_wrong_with(found[0]))
    return unicodedata.normalize("NFC", text).strip() or None


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
    lines = (line.strip() for line in (read_text(raw) or "").splitlines())
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
        text = read_text(raw)
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


def _email(raw: object) -> str | None:
    text = read_text(raw)
    if text is not None and not _is_address(text):
        raise Unusable("is not an e-mail address")
    return text


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
