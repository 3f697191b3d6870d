"""The documentation in the browser: every page, for everybody who may read, with links that lead somewhere."""

import re

import pytest

from syncd.documentation import INDEX
from syncd.sync.reasons import HELD, LEFT_OUT
from syncd.web.auth.credentials import Credentials
from syncd.web.markdown import fragment_of, render_markdown
from syncd.web.pages.held import explanation_of
from tests.support.college import College, Found
from tests.support.documentation import TEXTS

from .conftest import TOKEN, VIEWER, Visitor

_PAGES = sorted(TEXTS.keys() - {"README", INDEX})


@pytest.fixture(scope="module")
def documents() -> dict[str, str]:
    return {name: render_markdown(TEXTS[name], "/docs").html for name in _PAGES}


@pytest.fixture
def college(found: Found) -> College:
    return found()


def test_the_index_and_every_page_are_served(college: College) -> None:
    visitor = Visitor(college)
    index = visitor.get("/docs")
    for name in _PAGES:
        page = visitor.get(f"/docs/{name}")
        assert page.status == 200, name
        title = TEXTS[name].splitlines()[0].removeprefix("# ")
        assert title in page.text
        assert f"/docs/{name}" in index.links
        assert [link for link in page.links if re.search(r"\.md(#|$)", link) or link.startswith("..")] == []


def test_a_page_that_is_not_there_is_said_not_to_be(college: College) -> None:
    for path in ("/docs/nothing", "/docs/..%2fsettings", "/docs/README"):
        page = Visitor(college).get(path)
        assert page.status == 404, path


def test_a_viewer_reads_it_and_a_stranger_signs_in_first(college: College) -> None:
    visitor = Visitor(college, credentials=Credentials(TOKEN, viewer_token=VIEWER))
    assert visitor.get("/docs/feeds").path.startswith("/sign-in")
    page = visitor.sign_in(VIEWER, to="/docs/feeds")
    assert (page.status, page.path) == (200, "/docs/feeds")
    assert "Kinds of feed" in page.text


def test_every_page_links_to_it(college: College) -> None:
    visitor = Visitor(college)
    for path in ("/", "/people", "/held", "/runs", "/docs/feeds", "/runs/999"):
        assert "/docs" in visitor.get(path).links, path


def test_each_reason_on_the_held_list_leads_to_its_explanation(college: College) -> None:
    college.enrol("L1", email="")
    college.run()
    visitor = Visitor(college)
    assert "/docs/reasons#held-missing" in visitor.get("/held").links
    fragments = render_markdown(TEXTS["reasons"], "/docs").fragments
    for which, reasons in (("Held", HELD), ("Left out", LEFT_OUT)):
        for reason in reasons:
            assert explanation_of(which, reason).removeprefix("/docs/reasons#") in fragments


@pytest.mark.parametrize(
    "raw", ["<script>alert(1)</script>", "Text <b onclick='x()'>bold</b>", "<!-- a comment -->", "`<i>code</i>`"]
)
def test_raw_html_stays_text(raw: str) -> None:
    html = render_markdown(f"# Title\n\n{raw}\n\n```html\n{raw}\n```\n\n| a |\n|---|\n| {raw} |\n", "/docs").html
    for tag in ("<script", "<b ", "<!--", "<i>"):
        assert tag not in html
    assert "&lt;" in html


def test_a_link_that_would_run_a_script_is_none() -> None:
    assert "href" not in render_markdown("[text](javascript:alert(1))", "/docs").html


def test_links_to_pages_lead_to_where_they_are_served() -> None:
    html = render_markdown("[a](feeds.md) [b](feeds.md#rules) [c](https://example.org/feeds.md)", "/docs").html
    assert 'href="/docs/feeds"' in html
    assert 'href="/docs/feeds#rules"' in html
    assert 'href="https://example.org/feeds.md"' in html


def test_a_link_to_a_file_that_is_not_served_is_its_text() -> None:
    html = render_markdown("See [the *unit*](../../config/syncd.service), [b](feeds.md).", "/docs").html
    assert html == '<p>See the <em>unit</em>, <a href="/docs/feeds">b</a>.</p>\n'


def test_no_fragment_is_twice_on_a_page(documents: dict[str, str]) -> None:
    for name, html in documents.items():
        ids = [each.partition('"')[0] for each in html.split(' id="')[1:]]
        assert len(ids) == len(set(ids)), name


def test_a_fragment_is_that_of_github() -> None:
    assert fragment_of('7. Organisation (a "centre")') == "7-organisation-a-centre"
    assert fragment_of("Held: rekeyed?") == "held-rekeyed"
    assert fragment_of("onefile.customer_token") == "onefilecustomer_token"
