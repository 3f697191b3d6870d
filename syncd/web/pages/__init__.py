"""The pages for people: rendered here, complete without a script, one module each."""

from pathlib import Path
from typing import Final

from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from syncd.web.pages import asking, documents, held, overview, person, run
from syncd.web.pages.site import Allowance, Site

__all__ = ["Allowance", "Site", "pages"]

_STATIC: Final = Path(__file__).parent.parent / "static"


def pages(site: Site) -> list[Route | Mount]:
    """The routes of the pages, and of what they load from ``/static``."""
    routes = [route for page in (overview, run, person, held, asking, documents) for route in page.routes(site)]
    return [*routes, Mount("/static", StaticFiles(directory=_STATIC))]
