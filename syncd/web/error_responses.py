"""Error responses: one sentence, as JSON for programs and as a page for people."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from syncd.web.identity import wants_page
from syncd.web.templating import render


def refused(request: Request, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """The response to a request that is refused."""
    if not wants_page(request):
        return JSONResponse({"error": sentence}, status, headers)
    page = render(request, "error.html", status_code=status, sentence=sentence)
    page.headers.update(headers or {})
    return page
