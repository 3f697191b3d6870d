"""The shapes of OneFile's answers (§19), read with as little faith as the fact sheet has in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

#: What a database's column has room for; OneFile's ids have nine digits at most.
_LARGEST_ID: Final = 2**63 - 1


class Unreadable(ValueError):
    """An answer is not of the shape its call should have."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Whose customer token it is (§6)."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Organisation:
    """A centre (§7)."""

    id: int
    name: str
    creates_keychains: bool
    suppresses_emails: bool | None = None
    """What that does nobody outside knows (U28); ``None`` where OneFile does not say."""


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user in a search; most else about it needs a call of its own (§8.6)."""

    id: int
    misid: str
    told: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All that the row says, keys in lower case: the names, and whatever else OneFile puts in (U2)."""

    @property
    def name(self) -> str:
        """First and last name as people write them."""
        return f"{_text(self.told, 'firstname')} {_text(self.told, 'lastname')}".strip()


@dataclass(frozen=True, slots=True)
class Place:
    """A classroom or a placement in a search (§9, §10)."""

    id: int
    name: str
    misid: str


@dataclass(frozen=True, slots=True)
class Response:
    """A yes that says nothing more (§8.4, §8.7)."""

    status: int
    attempts: int
    """How often the call was made."""


@dataclass(frozen=True, slots=True)
class Created:
    """What a create told (§8.3)."""

    user_id: int | None
    """``None`` where OneFile said yes and nothing else, as it does while Keychain creation is on."""
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Created(user_id={self.user_id})"


def parse_json(response: httpx.Response) -> Any:
    """The JSON in an answer; ``None`` where it has no body, as when nothing is found (§8.6). Raises `Unreadable`."""
    if not response.content.strip():
        return None
    try:
        return response.json()
    except (ValueError, RecursionError):
        # Not JSON, not text, a number of thousands of digits, or brackets without end.
        raise Unreadable from None


def parse_rows(response: httpx.Response) -> list[dict[str, Any]]:
    """The rows of a search, keys in lower case. Raises `Unreadable`."""
    document = parse_json(response)
    if document is None:
        return []
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise Unreadable
    return [_lowered(row) for row in document]


def parse_object(response: httpx.Response) -> dict[str, Any]:
    """One object, keys in lower case. Raises `Unreadable`."""
    document = parse_json(response)
    if not isinstance(document, dict):
        raise Unreadable
    return _lowered(document)


def parse_customer(row: Mapping[str, Any]) -> Customer:
    """The customer. Raises `Unreadable`."""
    return Customer(_id_of(row), _text(row, "name"))


def parse_organisation(row: Mapping[str, Any]) -> Organisation:
    """An organisation's row. Raises `Unreadable`."""
    return Organisation(
        _id_of(row),
        _text(row, "name"),
        bool(_flag(row, "keychaincreationfornewuseractive")),
        _flag(row, "keychainemailsuppression"),
    )


def parse_user(row: Mapping[str, Any]) -> UserRow:
    """A user's row; the MISID is empty where the account has none (§19). Raises `Unreadable`."""
    return UserRow(_id_of(row), _text(row, "misid"), row)


def parse_place(row: Mapping[str, Any]) -> Place:
    """A classroom's or placement's row. Raises `Unreadable`."""
    return Place(_id_of(row), _text(row, "name"), _text(row, "misid"))


def parse_created(response: httpx.Response) -> Created:
    """What a create's answer tells (§8.3, U14). Raises `Unreadable` for what is not an answer to a create."""
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
    """The session in an answer to Authentication: plain text, or a JSON string (§2). Raises `Unreadable`."""
    text = "".join(response.text.split()).strip('"')
    if not text or not text.isascii() or not text.isprintable() or text[0] in "<{[":
        raise Unreadable
    return text


def parse_message(response: httpx.Response) -> str:
    """OneFile's own words in a refusal, however they are wrapped (U12); at most 500 characters."""
    words = " ".join(_words(response).split())
    return words[:500]


def parse_retry_after(response: httpx.Response, now: datetime) -> float | None:
    """The seconds that a ``Retry-After`` header asks to wait, at least 0; ``None`` if there is none to be read."""
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
