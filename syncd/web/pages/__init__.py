"""The pages for people: rendered here, complete without a script, one module each."""

from pathlib import Path
from typing import Final

from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from syncd.web.pages import documents, held, overview, person, resync, run
from syncd.web.pages.context import Allowance, PageContext

__all__ = ["Allowance", "PageContext", "pages"]

_STATIC: Final = Path(__file__).parent.parent / "static"


def pages(site: PageContext) -> list[Route | Mount]:
    """The routes of the pages, and of what they load from ``/static``."""
    routes = [route for page in (overview, run, person, held, resync, documents) for route in page.routes(site)]
    return [*routes, Mount("/static", StaticFiles(directory=_STATIC))]
