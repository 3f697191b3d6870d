"""The shapes of OneFile's responses (§19), parsed defensively because the fact sheet is unsure of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import httpx

from syncd.core.fields import ROLE_BY_NUMBER, Role
from syncd.core.misid import canonical

#: The largest value of a database column; OneFile's ids have at most nine digits.
_LARGEST_ID: Final = 2**63 - 1

#: Of a ``Retry-After``: more seconds are a mistake.
_MOST_DIGITS: Final = 9

#: More than is stored of it: the values in it must be whole to be recognised.
_LONGEST_MESSAGE: Final = 5000

#: The keys under which a .NET service explains what was wrong (§14, U12).
_COMPLAINTS: Final = ("message", "messagedetail", "exceptionmessage", "modelstate", "error", "errors")

#: In "archived", "archive" and "archiving".
_ARCHIVE: Final = "archiv"
#: Keys that may name the state of an account in words. The learner status is not one: each centre has its own (§7).
_STATE_KEYS: Final = ("role", "rolename", "group", "groupname", "status", "accountstatus", "userstatus")
_YES: Final = frozenset({"true", "yes", "y", "archived"})
_NO: Final = frozenset({"false", "no", "n", "0", "active"})
#: How .NET writes a date that was never set.
_NO_DATE: Final = ("0001-01-01", "01/01/0001", "1/1/0001", "/Date(-62135596800000")


class Unreadable(ValueError):
    """A response does not have the shape that its call should return."""


@dataclass(frozen=True, slots=True)
class Customer:
    """The customer that the token belongs to (§6)."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Organisation:
    """A centre (§7)."""

    id: int
    name: str
    creates_keychains: bool
    suppresses_emails: bool | None = None
    """Its effect is not documented (U28); ``None`` if OneFile omits it."""


class Names(NamedTuple):
    """A user's first and last name, as OneFile or the MIS writes them."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user in a search result; most other fields need a separate call (§8.6)."""

    id: int
    misid: str
    is_number: bool = False
    """Whether OneFile has returned the MISID as a number, which has no leading zeros."""
    told: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All fields of the row, keys in lower case: the names, and any others that OneFile includes (U2)."""

    @property
    def names(self) -> Names:
        """First and last name; empty if the account has none."""
        return Names(_text(self.told, "firstname"), _text(self.told, "lastname"))

    @property
    def name(self) -> str:
        """First and last name in one."""
        return " ".join(self.names).strip()


@dataclass(frozen=True, slots=True)
class Place:
    """A classroom or a placement in a search result (§9, §10)."""

    id: int
    name: str
    misid: str
    is_number: bool = False
    """Whether OneFile has returned the MISID as a number, which has no leading zeros."""


@dataclass(frozen=True, slots=True)
class Response:
    """A success without further content (§8.4, §8.7)."""

    status: int
    attempts: int
    """The number of attempts."""
    note: str = ""
    """What the status does not show."""


@dataclass(frozen=True, slots=True)
class Created:
    """What OneFile returns for a create (§8.3)."""

    user_id: int | None
    """``None`` if OneFile returned no details, as it does while Keychain creation is on."""
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Created(user_id={self.user_id})"


def parse_json(response: httpx.Response) -> Any:
    """Return a response's JSON; ``None`` if it has no body, as when nothing is found (§8.6). Raises `Unreadable`."""
    if not response.content.strip():
        return None
    try:
        return response.json()
    except (ValueError, RecursionError):
        # Not JSON, not text, a number with thousands of digits, or brackets nested too deeply.
        raise Unreadable from None


def parse_rows(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the rows of a search, keys in lower case. Raises `Unreadable`."""
    document = parse_json(response)
    if document is None:
        return []
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise Unreadable
    return [_lowered(row) for row in document]


def parse_object(response: httpx.Response) -> dict[str, Any]:
    """Return one object, keys in lower case. Raises `Unreadable`."""
    document = parse_json(response)
    if not isinstance(document, dict):
        raise Unreadable
    return _lowered(document)


def parse_customer(row: Mapping[str, Any]) -> Customer:
    """Return the customer. Raises `Unreadable`."""
    return Customer(_id_of(row), _text(row, "name"))


def parse_organisation(row: Mapping[str, Any]) -> Organisation:
    """Return an organisation. Raises `Unreadable`."""
    return Organisation(
        _id_of(row),
        _text(row, "name"),
        bool(_flag(row, "keychaincreationfornewuseractive")),
        _flag(row, "keychainemailsuppression"),
    )


def parse_user(row: Mapping[str, Any]) -> UserRow:
    """Return a user; the MISID is empty if the account has none (§19). Raises `Unreadable`."""
    return UserRow(_id_of(row), canonical(_text(row, "misid")), isinstance(row.get("misid"), int | float), row)


def parse_place(row: Mapping[str, Any]) -> Place:
    """Return a classroom or placement. Raises `Unreadable`."""
    is_number = isinstance(row.get("misid"), int | float)
    return Place(_id_of(row), _text(row, "name"), canonical(_text(row, "misid")), is_number)


def parse_created(response: httpx.Response) -> Created:
    """Return the result of a create (§8.3, U14). Raises `Unreadable` if the response is not that of a create."""
    match parse_json(response):
        case None | "":
            return Created(None)
        case int() as number:
            return Created(_id_in(number))
        case dict() as document:
            row = _lowered(document)
            return Created(_id_of(row), _text(row, "username"), _text(row, "password"))
        case _:
            raise Unreadable


def parse_session(response: httpx.Response) -> str:
    """Return the session from an Authentication response: plain text or a JSON string (§2). Raises `Unreadable`."""
    text = "".join(response.text.split()).strip('"')
    if not text or not text.isascii() or not text.isprintable() or text[0] in "<{[":
        raise Unreadable
    return text


def parse_message(response: httpx.Response) -> str:
    """Return OneFile's message from a refusal, in any of its forms (U12), cut off if it is very long."""
    return " ".join(_words(response).split())[:_LONGEST_MESSAGE]


def parse_complaint(response: httpx.Response) -> str | None:
    """Return OneFile's words in an answer with a status of success; ``None`` if it does not complain (U17).

    A change is answered with nothing, a number or an object (§8.4, §11); words say that something was wrong. Only the
    keys that are for words are read, because an answer may have a password (§8.3). Raises `Unreadable` for a web page.
    """
    try:
        document = parse_json(response)
    except Unreadable:
        if response.text.lstrip().startswith("<"):
            raise
        document = response.text
    said: object = document
    if isinstance(document, dict):
        row = _lowered(document)
        said = [row[name] for name in _COMPLAINTS if name in row]
    elif not isinstance(document, str):
        return "" if document is False else None
    return " ".join("; ".join(_strings(said)).split())[:_LONGEST_MESSAGE] or None


def is_archived(told: Mapping[str, Any]) -> bool | None:
    """Return whether OneFile shows a user as archived; ``None`` if its answer does not say.

    ``told`` are the fields of the answer, keys in lower case. It is not documented how an archived account shows (U5):
    by a flag or a date, by words, or by another role number, because archiving looks like a change of role (§8.1). The
    number of an ordinary role says nothing, because OneFile may keep it.
    """
    flags = {_is_set(value) for name, value in told.items() if _ARCHIVE in name and "unarchiv" not in name}
    states = (str(told.get(name)).strip().lower() for name in _STATE_KEYS)
    if True in flags or any(state.startswith("archived") for state in states):
        return True
    if False in flags:
        return False
    number = _role_number(told)
    return True if number is not None and number not in ROLE_BY_NUMBER else None


def role_in(told: Mapping[str, Any]) -> Role | None:
    """Return a user's role; ``None`` if the answer has none that the API can create (§8.1). Keys in lower case."""
    return ROLE_BY_NUMBER.get(_role_number(told) or 0)


def says_archived(message: str) -> bool:
    """Whether the message of a refused update says that the account is archived (U21).

    The message must not contain the values that were sent: one of them may contain such words.
    """
    return _ARCHIVE in message.lower()


def parse_retry_after(response: httpx.Response, now: datetime) -> float | None:
    """Return the seconds to wait by a ``Retry-After`` header, at least 0; ``None`` if it is missing or invalid."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= _MOST_DIGITS else None
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, OverflowError):
        # Not a date, or one with a year or a zone that no date has.
        return None


def _words(response: httpx.Response) -> str:
    try:
        document = parse_json(response)
    except Unreadable:
        is_page = response.text.lstrip().startswith("<")
        return "" if is_page else response.text
    if isinstance(document, dict):
        return "; ".join(_strings(_lowered(document).get("message") or document))
    return "; ".join(_strings(document))


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from _strings(each)
        case list():
            for each in value:
                yield from _strings(each)
        case _:
            pass


def _lowered(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in row.items()}


def _id_of(row: Mapping[str, Any]) -> int:
    return _id_in(row.get("id"))


def _id_in(number: object) -> int:
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 20:
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= _LARGEST_ID:
        raise Unreadable
    return number


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def _is_set(value: object) -> bool | None:
    """Whether a flag or a date is set; ``None`` if the value says neither."""
    match value:
        case bool() | int() | float():
            return bool(value)
        case str():
            text = value.strip().lower()
            if text in _NO or text.startswith(tuple(date.lower() for date in _NO_DATE)):
                return False
            return True if text in _YES or any(letter.isdigit() for letter in text) else None
        case _:
            return None


def _role_number(told: Mapping[str, Any]) -> int | None:
    try:
        number = int(str(told.get("role", told.get("roleid"))))
    except ValueError:
        return None
    return number if number > 0 else None


def _flag(row: Mapping[str, Any], name: str) -> bool | None:
    value = row.get(name)
    return None if value is None else value in {True, "true", "True"}
