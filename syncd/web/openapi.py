"""The OpenAPI document, made from the declarations of the endpoints."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import Route

from syncd import __version__
from syncd.web.identity import CSRF_HEADER
from syncd.web.schemas import Problem

ADDRESS: Final = "/api/openapi.json"

Answer = type[BaseModel] | str
"""JSON of a model, or text of a media type."""

#: A parameter in a path such as ``{run:int}``, and its converter.
_PARAMETER: Final = re.compile(r"{(\w+)(?::(\w+))?}")
_CONVERTER: Final = re.compile(r":\w+}")
_TEXT: Final = {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}
_REFUSALS: Final = {
    400: "Invalid request body or query.",
    401: "Not authenticated.",
    403: "Cross-site request, or read-only access.",
    404: "Not found.",
    409: "No such run waits for approval.",
    503: "The state store cannot be used.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """The request and responses of an endpoint, beside those common to all.

    ``refuses`` are the statuses whose body is a `Problem`. ``is_open``: requests from this machine need no credentials.
    ``query`` has a field for each parameter of the query.
    """

    route: Route
    summary: str
    answers: Mapping[int, Answer]
    takes: type[BaseModel] | None = None
    refuses: Sequence[int] = ()
    is_open: bool = False
    query: type[BaseModel] | None = None

    @property
    def method(self) -> str:
        """The HTTP method."""
        return next(iter((self.route.methods or set()) - {"HEAD"})).lower()

    @property
    def path(self) -> str:
        """With its parameters as OpenAPI writes them."""
        return _CONVERTER.sub("}", self.route.path)

    @property
    def path_parameters(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The name and the schema of each parameter in the path."""
        for name, converter in _PARAMETER.findall(self.route.path):
            yield name, {"type": "integer", "minimum": 0} if converter == "int" else {"type": "string"}


def document(
    operations: Sequence[Operation], organisations: Sequence[int], cookie: str, *, is_open: bool
) -> dict[str, Any]:
    """The whole document. ``cookie`` is the name of the session cookie; ``is_open``: no credentials are required."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in _models(operations)], ref_template="#/components/schemas/{model}"
    )
    # Only configured organisations are accepted.
    for schema in schemas["$defs"].values():
        if "default" in (given := schema.get("properties", {}).get("organisation_id", {})):
            given |= {"enum": [*organisations, None]}
            given.pop("anyOf", None)
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method] = _described(each, is_open=is_open)
    return {
        "openapi": "3.1.0",
        "info": {"title": "syncd", "version": __version__, "summary": "Monitor and control syncd."},
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {} if is_open else _security_schemes(cookie),
        },
    }


def _models(operations: Sequence[Operation]) -> Iterator[type[BaseModel]]:
    yield Problem
    for each in operations:
        yield from (model for model in (each.takes, each.query, *each.answers.values()) if isinstance(model, type))


def _security_schemes(cookie: str) -> dict[str, Any]:
    return {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "admin.token, or admin.viewer_token for read-only access",
        },
        "session": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "the session of a signed-in user"},
        "form": {
            "type": "apiKey",
            "in": "header",
            "name": CSRF_HEADER,
            "description": "the csrf_token of the session's forms",
        },
    }


def _described(operation: Operation, *, is_open: bool) -> dict[str, Any]:
    refuses = {*operation.refuses, 403, *(() if is_open else (401,)), *((404,) if "{" in operation.path else ())}
    answers = {**dict.fromkeys(refuses, Problem), **operation.answers}
    described: dict[str, Any] = {
        "operationId": operation.route.name,
        "summary": operation.summary,
        "security": [] if is_open else _security(operation),
        "responses": {str(status): _answer(status, answer) for status, answer in sorted(answers.items())},
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": schema} for name, schema in operation.path_parameters
    ]
    if operation.query:
        at = f"#/components/schemas/{operation.query.__name__}/properties"
        parameters += [
            {"name": name, "in": "query", "schema": {"$ref": f"{at}/{name}"}} for name in operation.query.model_fields
        ]
    if parameters:
        described["parameters"] = parameters
    if operation.takes:
        described["requestBody"] = {"required": False, "content": _json(operation.takes)}
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    session: dict[str, list[str]] = {"session": []} if operation.method == "get" else {"session": [], "form": []}
    return [*([{}] if operation.is_open else []), {"token": []}, session]


def _answer(status: int, answer: Answer) -> dict[str, Any]:
    if isinstance(answer, str):
        return {"description": answer, "content": _TEXT}
    description = _REFUSALS[status] if answer is Problem else (answer.__doc__ or "")
    return {"description": description, "content": _json(answer)}


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
