"""The college of the passes, and its pages without a network between."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from syncd.operations.explain import Explanation, explain
from syncd.web.app import make_app
from syncd.web.auth.credentials import Credentials
from syncd.web.pages import Allowance, PageContext, pages
from tests.support.college import College, found, no_pauses_between_attempts, quiet_log
from tests.support.onefile import ORGANISATION

__all__ = ["found", "no_pauses_between_attempts", "quiet_log", "state_url"]

HERE = "http://127.0.0.1:8642"
TOKEN = "a token of the tests"
VIEWER = "another one, to look"


@pytest.fixture
def state_url(sqlite_url: str) -> str:
    """SQLite: what pages read is tested with both databases where it is read."""
    return sqlite_url


class Page:
    """An answer as somebody reads it."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self.headers = answer.headers
        self.path = answer.url.raw_path.decode()
        self.html = answer.text

    @property
    def text(self) -> str:
        """The words on it, a space for whatever is between them."""
        words = " ".join(unescape(re.sub(r"<[^>]*>", " ", self.html)).split())
        return re.sub(r" (?=[.,:;])", "", words)

    @property
    def json(self) -> Any:
        """The document of an endpoint for programs."""
        return json.loads(self.html)

    @property
    def links(self) -> list[str]:
        return [unescape(link) for link in re.findall(r'href="([^"]*)"', self.html)]

    @property
    def buttons(self) -> list[str]:
        return [" ".join(unescape(name).split()) for name in re.findall(r"<button[^>]*>(.*?)</button>", self.html)]


class Visitor:
    """Looks at the pages of a college as a browser without scripts does, on the daemon's own machine."""

    def __init__(
        self,
        college: College,
        organisations: tuple[int, ...] = (ORGANISATION,),
        explain: Callable[[int, str], Explanation] | None = None,
        credentials: Credentials | None = None,
        keep: timedelta = timedelta(),
    ) -> None:
        site = PageContext(
            college.context.store,
            organisations,
            college.clock,
            ZoneInfo("Europe/London"),
            explain or (lambda organisation_id, misid: _explain(college, organisation_id, misid)),
            lambda: Allowance(30, 300),
            keep=lambda: keep,
        )
        self._app = make_app(
            college.context.store, organisations, credentials or Credentials(), college.clock, pages(site)
        )
        self._cookies = httpx.Cookies()
        self._csrf = ""

    def get(self, path: str) -> Page:
        return self._ask("GET", path)

    def post(self, path: str, **fields: Any) -> Page:
        if not self._csrf:
            self.get("/")
        return self._ask("POST", path, data={"csrf_token": self._csrf, **fields})

    def sign_in(self, secret: str, to: str = "/") -> Page:
        """Sign in on the way to a page."""
        form = self.get(to)
        (target,) = re.findall(r'name="next" value="([^"]*)"', form.html)
        return self.post("/sign-in", name="Morgan", secret=secret, next=unescape(target))

    def _ask(self, method: str, path: str, **options: Any) -> Page:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
            async with httpx.AsyncClient(
                transport=transport, base_url=HERE, cookies=self._cookies, headers=headers, follow_redirects=True
            ) as client:
                answer = await client.request(method, path, **options)
                self._cookies = client.cookies
                return answer

        page = Page(asyncio.run(ask()))
        if token := re.search(r'name="csrf_token" value="([^"]*)"', page.html):
            self._csrf = token[1]
        return page


def _explain(college: College, organisation_id: int, misid: str) -> Explanation:
    return explain(college.context.for_organisation(organisation_id), misid)
