"""The shapes of OneFile's responses (§19), parsed defensively because the fact sheet is unsure of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

#: The largest value of a database column; OneFile's ids have at most nine digits.
_LARGEST_ID: Final = 2**63 - 1


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


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user in a search result; most other fields need a separate call (§8.6)."""

    id: int
    misid: str
    told: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All fields of the row, keys in lower case: the names, and any others that OneFile includes (U2)."""

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{_text(self.told, 'firstname')} {_text(self.told, 'lastname')}".strip()


@dataclass(frozen=True, slots=True)
class Place:
    """A classroom or a placement in a search result (§9, §10)."""

    id: int
    name: str
    misid: str


@dataclass(frozen=True, slots=True)
class Response:
    """A success without further content (§8.4, §8.7)."""

    status: int
    attempts: int
    """The number of attempts."""


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
    return UserRow(_id_of(row), _text(row, "misid"), row)


def parse_place(row: Mapping[str, Any]) -> Place:
    """Return a classroom or placement. Raises `Unreadable`."""
    return Place(_id_of(row), _text(row, "name"), _text(row, "misid"))


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
    """Return OneFile's message from a refusal, in any of its forms (U12); at most 500 characters."""
    words = " ".join(_words(response).split())
    return words[:500]


def parse_retry_after(response: httpx.Response, now: datetime) -> float | None:
    """Return the seconds to wait by a ``Retry-After`` header, at least 0; ``None`` if it is missing or invalid."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


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


def _flag(row: Mapping[str, Any], name: str) -> bool | None:
    value = row.get(name)
    return None if value is None else value in {True, "true", "True"}
