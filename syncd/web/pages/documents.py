"""The documentation: its index, and each of its pages."""

from functools import cache
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncd.documentation import INDEX, pages, read
from syncd.web.markdown import Rendered, render_markdown
from syncd.web.pages.context import PageContext

ADDRESS: Final = "/docs"


def routes(site: PageContext) -> list[Route]:
    """The documentation's."""

    def show(request: Request) -> Response:
        name = request.path_params.get("page", INDEX)
        if name != INDEX and name not in pages():
            raise HTTPException(404, "The documentation has no such page.")
        page = pages().get(name)
        return site.show(
            request,
            "document.html",
            title=page.title if page else "Documentation",
            topic=name,
            document=_rendered(name),
            pages=pages().values(),
        )

    return [Route(ADDRESS, show), Route(f"{ADDRESS}/{{page}}", show)]


@cache
def _rendered(name: str) -> Rendered:
    return render_markdown(read(name), ADDRESS)
