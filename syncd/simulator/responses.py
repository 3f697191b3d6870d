"""The responses: a status and a body, in a form that OneFile may use."""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from syncd.simulator.switches import ErrorBody, KeychainBody

_JSON = "application/json; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, independent of the framework."""

    status: int
    content: bytes = b""
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(value: object) -> Answer:
    """Returns 200 with JSON: an object, an array without envelope (§4) or a bare integer (§9, §10)."""
    return Answer(HTTPStatus.OK, json.dumps(value, ensure_ascii=False).encode(), _JSON)


def text_answer(text: str) -> Answer:
    """Returns 200 with plain text, as for a session (§2, §19)."""
    return Answer(HTTPStatus.OK, text.encode(), _TEXT)


def nothing(status: int = HTTPStatus.NO_CONTENT) -> Answer:
    """Returns no body: for an update (§8.4), an empty search (§8.6) and, with a chosen status, archiving (U17)."""
    return Answer(status)


def keychain_answer(body: KeychainBody) -> Answer:
    """Returns 200 with no details, as for a create while Keychain creation is on (§8.3, U14)."""
    match body:
        case KeychainBody.EMPTY:
            return Answer(HTTPStatus.OK)
        case KeychainBody.NULL:
            return json_answer(None)
        case KeychainBody.EMPTY_STRING:
            return json_answer("")


def error_answer(status: int, message: str, wording: ErrorBody, retry_after_seconds: int | None = None) -> Answer:
    """Returns an error (§14, U12).

    Args:
        status: 400 or more.
        message: the sentence in its body.
        wording: the form of the body.
        retry_after_seconds: adds a ``Retry-After`` header (U9).
    """
    headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
    match wording:
        case ErrorBody.TEXT:
            return Answer(status, message.encode(), _TEXT, headers)
        case ErrorBody.HTML:
            page = f"<html><body><h1>Error {status}</h1><p>{html.escape(message)}</p></body></html>"
            return Answer(status, page.encode(), _HTML, headers)
        case ErrorBody.MESSAGE | ErrorBody.CAPITAL_MESSAGE:
            body = json.dumps({wording.value: message}, ensure_ascii=False)
            return Answer(status, body.encode(), _JSON, headers)


def rubbish() -> Answer:
    """Returns 200 with a web page, as a proxy or a maintenance page does."""
    return Answer(HTTPStatus.OK, b"<!DOCTYPE html><html><body><h1>We'll be back soon</h1></body></html>", _HTML)
