"""What an application answers to."""

import re
from collections.abc import Iterator, Sequence

from starlette.routing import BaseRoute, Mount, Route


def every_address(routes: Sequence[BaseRoute], before: str = "") -> Iterator[tuple[str, str]]:
    """Each method and path of an application, its parameters filled in."""
    for route in routes:
        if isinstance(route, Mount):
            yield "GET", f"{before}{route.path}/x"
            yield from every_address(route.routes, before + route.path)
        else:
            assert isinstance(route, Route), "a kind of route that this test does not know"
            path = re.sub(r"{\w+:int}", "1", before + route.path)
            for method in ("POST", *(route.methods or ())):
                yield method, re.sub(r"{\w+(:path)?}", "x", path)
