"""Renders pages from templates."""

from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.templating import Jinja2Templates

from syncd.core.text import printable
from syncd.web.identity import csrf_token


def _of_everybody(request: Request) -> dict[str, Any]:
    return {"person": request.user, "csrf_token": csrf_token(request)}


def _printable(value: Any) -> Any:
    """What a page shows instead of a value: text of others must not turn its direction."""
    return printable(value, keep="\n") if type(value) is str else value


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("syncd.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_printable,
)
_TEMPLATES: Final = Jinja2Templates(env=_ENVIRONMENT, context_processors=[_of_everybody])


def render(request: Request, name: str, /, *, status_code: int = 200, **context: Any) -> HTMLResponse:
    """Render a page; every template has ``person``, the caller, and ``csrf_token``, for its forms."""
    return _TEMPLATES.TemplateResponse(request, name, context, status_code)
