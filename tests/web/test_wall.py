"""Who gets through, and to what."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from syncd.operations.explain import Explanation
from syncd.state.db.store import Store
from syncd.web.auth.credentials import Credentials
from syncd.web.pages import Allowance, PageContext, pages
from tests.support.clocks import Clock
from tests.support.onefile import ORGANISATION
from tests.support.routes import every_address

from .visitor import (
    ELSEWHERE,
    GUARDED,
    HERE,
    OPEN,
    PASSWORD,
    TOKEN,
    VIEWERS_PASSWORD,
    VIEWERS_TOKEN,
    Visitor,
    site,
)

OPEN_TO_ALL = {"/sign-in", "/static/x"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
VIEWERS_BEARER = {"Authorization": f"Bearer {VIEWERS_TOKEN}"}


def _nothing_to_show(store: Store) -> PageContext:
    return PageContext(
        store,
        [ORGANISATION],
        Clock(datetime.now(UTC)),
        ZoneInfo("Europe/London"),
        lambda *_: Explanation(()),
        _no_calls,
    )


def _no_calls() -> Allowance:
    return Allowance(0, 300)


@pytest.mark.parametrize("takes", ["text/html", "*/*"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
def test_without_credentials_nothing_is_answered_but_the_way_in(
    store: Store, takes: str, headers: dict[str, str]
) -> None:
    app = site(store, more=pages(_nothing_to_show(store)))
    asked = set(every_address(app.routes)) | {("GET", "/"), ("GET", "/nothing"), ("DELETE", "/api/status")}
    assert len(asked) > 20
    for method, path in asked:
        answer = Visitor(app, takes=takes)(method, path, headers=headers)
        if path in OPEN_TO_ALL and method in {"GET", "HEAD"}:
            assert answer.status_code in {200, 404}, (method, path)
        elif path == "/sign-in":
            assert answer.status_code == 403, "signing in takes the form"
        elif answer.status_code == 303:
            assert (takes, method in {"GET", "HEAD"}) == ("text/html", True)
            assert answer.headers["Location"].startswith("/sign-in?next=")
        else:
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/api/status", "/metrics", "/readyz", "/healthz"])
def test_a_program_is_never_led_to_the_form(store: Store, path: str) -> None:
    answer = Visitor(site(store)).get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json")
    assert answer.json()["error"].endswith(".")


def test_this_machine_may_always_ask_whether_syncd_lives_and_nothing_else(store: Store) -> None:
    app = site(store)
    for address in ("127.0.0.1", "::1"):
        here = Visitor(app, address=address)
        assert [here.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 401]
        assert here.post("/healthz").status_code == 401


@pytest.mark.parametrize("host", ["x/static/?", "x/sign-in?", "x/healthz#", "127.0.0.1:1/static/?"])
def test_no_name_for_the_machine_leads_past_the_wall(store: Store, host: str) -> None:
    assert Visitor(site(store)).get("/api/status", headers={"Host": host}).status_code == 401


@pytest.mark.parametrize("path", ["/static/../api/status", "/static/%2e%2e/api/status", "//api/status", "/API/status"])
def test_no_way_of_writing_an_address_leads_past_the_wall(store: Store, path: str) -> None:
    # A browser would tidy it up before it asks.
    address = httpx.URL(ELSEWHERE).copy_with(raw_path=path.encode())
    answer = Visitor(site(store), takes="*/*").get(str(address))
    assert answer.status_code in {401, 404}
    assert "accounts" not in answer.text


def test_a_token_that_only_looks_changes_nothing(store: Store) -> None:
    script = Visitor(site(store), takes="*/*")
    assert script.get("/api/status", headers=VIEWERS_BEARER).status_code == 200
    for method, path in (("POST", "/api/resync"), ("POST", "/page"), ("DELETE", "/api/status"), ("OPTIONS", "/page")):
        refusal = script(method, path, headers=VIEWERS_BEARER)
        assert (refusal.status_code, list(refusal.json())) == (403, ["error"])
    assert script.post("/api/resync", headers=BEARER).status_code == 202


def test_viewer_post_is_refused_with_read_only_page(store: Store) -> None:
    viewer = Visitor(site(store))
    assert viewer.sign_in(VIEWERS_PASSWORD).status_code == 303
    refusal = viewer.post("/page", data=viewer.form_of("/page"))
    assert (refusal.status_code, refusal.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "read-only access" in refusal.text


def test_a_wrong_token_is_not_made_good_by_a_session(store: Store) -> None:
    browser = Visitor(site(store), takes="*/*")
    browser.sign_in()
    assert browser.get("/api/status").status_code == 200
    assert browser.get("/api/status", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_the_password_of_a_proxy_neither_admits_nor_is_in_the_way(store: Store) -> None:
    browser, basic = Visitor(site(store)), {"Authorization": "Basic eDp5"}
    browser.sign_in()
    assert browser.get("/page", headers=basic).status_code == 200
    # A browser sends it with what another site makes it ask for, too.
    assert browser.post("/page", data={"word": "x"}, headers=basic).status_code == 403


def test_a_form_is_only_taken_with_its_token(store: Store) -> None:
    app = site(store)
    browser, other = Visitor(app), Visitor(app)
    browser.sign_in()
    other.sign_in()
    good = browser.form_of("/page") | {"word": "é &="}
    refusals: list[dict[str, Any]] = [
        {"data": {"word": "x"}},
        {"data": {"csrf_token": "", "word": "x"}},
        {"data": other.form_of("/page")},
        {"json": good},
        {"params": good},
        {"data": good, "files": {"file": b"x"}},
        {"content": b"csrf_token=%ff&a=\xff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"--x\r\nrubbish", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        {"content": b"rubbish", "headers": {"Content-Type": "multipart/form-data"}},
        {"headers": {"X-CSRF-Token": "wrong"}, "data": good},
    ]
    for refused in refusals:
        answer = browser.post("/page", **refused)
        assert answer.status_code == 403, refused
        assert "Reload the page" in answer.text
    taken = [
        browser.post("/page", data=good),
        browser.post("/page", data={"word": "é &="}, headers={"X-CSRF-Token": good["csrf_token"]}),
    ]
    assert [answer.json() for answer in taken] == [{"by": "Jo (page)", "word": "é &="}] * 2


def test_no_form_however_odd_is_more_than_refused(store: Store) -> None:
    browser = Visitor(site(store, Credentials(TOKEN)))
    browser.form_of("/sign-in")

    @given(st.binary() | st.text("csrf_token=&;%0f+").map(str.encode))
    @example(b"")
    @example(b"a&" * 2000)
    @example(b"csrf_token&csrf_token=%&csrf_token=%zz")
    @settings(max_examples=50)
    def is_refused(body: bytes) -> None:
        answer = browser.post("/sign-in", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status_code == 403

    is_refused()


def test_a_script_on_a_page_carries_the_token_in_a_header(store: Store) -> None:
    browser = Visitor(site(store))
    browser.sign_in()
    token = browser.form_of("/page")["csrf_token"]
    assert browser.post("/api/resync", json={}).status_code == 403
    assert browser.post("/api/resync", json={}, headers={"X-CSRF-Token": token}).status_code == 202


def test_a_form_without_end_is_not_read_to_its_end(store: Store) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 10_000

    browser = Visitor(site(store))
    browser.form_of("/sign-in")
    answer = browser.post("/sign-in", content=endless(), headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 413
    assert read < 20


@pytest.mark.parametrize("path", [f"/api/runs/{'9' * 5000}/approve", f"/{'x' * 5000}"])
def test_an_address_longer_than_any_is_refused_in_a_sentence(store: Store, path: str) -> None:
    answer = Visitor(site(store), takes="*/*").post(path, headers=BEARER)
    assert answer.status_code == 414
    assert answer.json()["error"].endswith(".")


def test_loopback_caller_may_act_where_no_credentials_are_set(store: Store) -> None:
    browser = Visitor(site(store, OPEN), HERE)
    assert browser.get("/sign-in").headers["Location"] == "/"
    answer = browser.post("/page", data=browser.form_of("/page"))
    assert answer.json()["by"] == "loopback (page)"
    assert browser.post("/page", data={"word": "x"}).status_code == 403


def test_where_nothing_is_asked_for_a_script_without_cookies_needs_no_form(store: Store) -> None:
    assert Visitor(site(store, OPEN), HERE, takes="*/*").post("/api/resync").status_code == 202


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8642", "127.0.0.1", "127.0.0.2:1", "[::1]:8642", "localhost:65535"]
)
def test_where_nothing_is_asked_for_this_machine_is_known_by_its_own_names(store: Store, host: str) -> None:
    assert Visitor(site(store, OPEN), HERE).get("/api/status", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8642", "127.0.0.1.evil.example", "localhost.evil.example", "", "[", "[::2]:1"],
)
@pytest.mark.parametrize("path", ["/page", "/api/status", "/metrics"])
def test_a_site_that_takes_this_machines_address_cannot_read_it(store: Store, host: str, path: str) -> None:
    refusal = Visitor(site(store, OPEN), HERE).get(path, headers={"Host": host})
    assert refusal.status_code == 403
    assert "127.0.0.1" in refusal.json()["error"]


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/page/", "/page"),
        ("/page//", "/page"),
        ("/api/status/?x=%C3%A9&next=//evil.example/", "/api/status?x=%C3%A9&next=//evil.example/"),
        ("/people/L%3F1/", "/people/L%3F1"),
        ("//evil.example/", "/evil.example"),
        ("///evil.example//", "/evil.example"),
        ("/%5Cevil.example/", "/%5Cevil.example"),
        ("/nothing/", "/nothing"),
    ],
)
def test_redirect_for_a_trailing_slash_names_no_host(store: Store, path: str, location: str) -> None:
    browser = Visitor(site(store))
    answer = browser.get(f"{ELSEWHERE}{path}", headers=BEARER | {"Host": "evil.example"})
    assert (answer.status_code, answer.headers["Location"]) == (307, location)
    assert browser.post(f"{ELSEWHERE}{path}", headers=BEARER).status_code == 404


def test_with_credentials_it_answers_by_any_name(store: Store) -> None:
    assert Visitor(site(store)).get("/api/status", headers=BEARER).status_code == 200


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(Credentials(token=TOKEN), id="token"),
        pytest.param(Credentials(password_hash=GUARDED.password_hash), id="password_hash"),
        pytest.param(Credentials(viewer_token=VIEWERS_TOKEN), id="viewer_token"),
        pytest.param(Credentials(viewer_password_hash=GUARDED.viewer_password_hash), id="viewer_password_hash"),
    ],
)
def test_any_one_of_the_credentials_closes_the_door(store: Store, credentials: Credentials) -> None:
    app = site(store, credentials)
    here = Visitor(app, HERE, address="127.0.0.1", takes="*/*")
    assert here.get("/api/status").status_code == 401
    assert here.get("/api/status", headers={"Authorization": "Bearer "}).status_code == 401
    given = [Visitor(app).sign_in(secret).status_code for secret in (TOKEN, PASSWORD, VIEWERS_TOKEN, VIEWERS_PASSWORD)]
    assert sorted(given) == [303, 403, 403, 403]


def test_unexpected_error_is_answered_without_quoting_its_details(store: Store) -> None:
    app = site(store, more=[Route("/broken", _broken)])
    answer = Visitor(app, takes="*/*").get("/broken", headers=BEARER)
    assert answer.status_code == 500
    assert answer.json()["error"].endswith(".")
    assert "zz-secret" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def _broken(_request: Request) -> Response:
    raise RuntimeError("zz-secret")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/page", 200),
        ("GET", "/sign-in", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/page", 405),
        ("GET", "/api/status", 200),
        ("POST", "/api/runs/1/approve", 409),
    ],
)
def test_every_answer_carries_browser_security_headers(store: Store, method: str, path: str, status: int) -> None:
    app = site(store)
    for headers, expected in ((BEARER, status), ({}, None)):
        answer = Visitor(app)(method, path, headers=headers)
        assert answer.status_code == (expected or answer.status_code)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=()" in answer.headers["Permissions-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_static_files_may_be_cached(store: Store) -> None:
    app: Starlette = site(store, more=[Mount("/static", routes=[Route("/x", lambda _: Response("x"))])])
    assert Visitor(app).get("/static/x").headers["Cache-Control"] == "no-cache"
