"""What is sent back: a status and a body, in the wording that OneFile may use."""

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
    """An HTTP answer before it is one."""

    status: int
    content: bytes = b""
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(value: object) -> Answer:
    """200 with JSON: objects, bare arrays without envelope (§4), bare integers (§9, §10)."""
    return Answer(HTTPStatus.OK, json.dumps(value, ensure_ascii=False).encode(), _JSON)


def text_answer(text: str) -> Answer:
    """200 with plain text, which is how a session comes (§2, §19)."""
    return Answer(HTTPStatus.OK, text.encode(), _TEXT)


def nothing(status: int = HTTPStatus.NO_CONTENT) -> Answer:
    """No body: an update (§8.4), a search that finds nothing (§8.6), and with a status of choice archiving (U17)."""
    return Answer(status)


def keychain_answer(body: KeychainBody) -> Answer:
    """200 with no details: a create while Keychain creation is on (§8.3, U14)."""
    match body:
        case KeychainBody.EMPTY:
            return Answer(HTTPStatus.OK)
        case KeychainBody.NULL:
            return json_answer(None)
        case KeychainBody.EMPTY_STRING:
            return json_answer("")


def error_answer(status: int, message: str, wording: ErrorBody, retry_after_seconds: int | None = None) -> Answer:
    """An error (§14, U12).

    Args:
        status: 400 or more.
        message: the sentence in its body.
        wording: where in the body the sentence stands.
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
    """200 with a web page, as a proxy or a maintenance page gives it."""
    return Answer(HTTPStatus.OK, b"<!DOCTYPE html><html><body><h1>We'll be back soon</h1></body></html>", _HTML)
