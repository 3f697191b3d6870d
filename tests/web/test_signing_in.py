"""Signing in and out, how often, and for how long."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import select, text

from syncd.state import resync_requests
from syncd.state.db.store import Store
from syncd.state.db.tables import approval, revoked_session
from syncd.web.auth.credentials import Credentials, hash_of
from syncd.web.auth.login import _local
from syncd.web.auth.throttle import Attempts
from tests.support.clocks import Clock
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

from .visitor import (
    ELSEWHERE,
    GUARDED,
    PASSWORD,
    TOKEN,
    VIEWERS_PASSWORD,
    VIEWERS_TOKEN,
    Visitor,
    site,
    stopped_run,
)


@pytest.mark.parametrize(
    ("secret", "may_steer"), [(PASSWORD, True), (TOKEN, True), (VIEWERS_PASSWORD, False), (VIEWERS_TOKEN, False)]
)
def test_a_password_or_a_token_admits_to_what_it_is_for(store: Store, secret: str, may_steer: bool) -> None:
    browser = Visitor(site(store))
    led = browser.get("/page?of=L1&x=%C3%A9")
    where = parse_qs(urlsplit(led.headers["Location"]).query)["next"][0]
    arrived = browser.sign_in(secret, next_=where)
    assert (arrived.status_code, arrived.headers["Location"]) == (303, "/page?of=L1&x=%C3%A9")
    assert browser.get("/page").status_code == 200
    changed = browser.post("/page", data=browser.form_of("/page"))
    assert changed.status_code == (200 if may_steer else 403)
    assert browser.get("/sign-in").headers["Location"] == "/"


@pytest.mark.parametrize(
    "secret", ["", "wrong", PASSWORD.upper(), pytest.param(GUARDED.password_hash, id="its hash"), "\0", "é" * 1000]
)
def test_anything_else_does_not_and_is_not_repeated(store: Store, secret: str) -> None:
    browser = Visitor(site(store))
    answer = browser.sign_in(secret, next_="/page")
    assert answer.status_code == 403
    assert "Wrong password or token" in answer.text
    assert 'value="Jo"' in answer.text
    assert 'value="/page"' in answer.text
    assert f'"{secret}"' not in answer.text or not secret
    assert browser.get("/page").status_code == 303


def test_a_password_may_be_typed_on_any_keyboard(store: Store) -> None:
    app = site(store, Credentials(password_hash=hash_of("Sécurité générale")))
    assert Visitor(app).sign_in("Se\u0301curite\u0301 ge\u0301ne\u0301rale").status_code == 303


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "Jo\u202egnp", "Jo\nBloggs"])
def test_sign_in_without_valid_name_is_refused(store: Store, name: str) -> None:
    browser = Visitor(site(store))
    answer = browser.sign_in(name=name)
    assert answer.status_code == 400
    assert "Enter your name" in answer.text
    assert browser.get("/page").status_code == 303


def test_a_name_is_shown_as_it_is_and_never_as_html(store: Store) -> None:
    browser = Visitor(site(store))
    browser.sign_in(name='<b onclick="x">')
    assert "&lt;b onclick=&#34;x&#34;&gt;" in browser.get("/page").text


def test_approval_and_resync_store_caller_and_channel(store: Store) -> None:
    app = site(store)
    browser, script = Visitor(app), Visitor(app, takes="*/*")
    browser.sign_in(name=" Jo Bloggs ")
    form = {"X-CSRF-Token": browser.form_of("/page")["csrf_token"]}
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    for who, headers in ((browser, form), (script, bearer)):
        assert who.post(f"/api/runs/{stopped_run(store)}/approve", headers=headers).status_code == 200
        assert who.post("/api/resync", headers=headers).status_code == 202
    with store.begin() as connection:
        approved_by = connection.scalars(select(approval.c.approved_by).order_by(approval.c.id)).all()
        requested_by = [each.requested_by for each in resync_requests.waiting(session_on(connection, ORGANISATION))]
    assert approved_by == requested_by == ["Jo Bloggs (page)", "api"]


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(store: Store) -> None:
    app = site(store)
    for base_url, is_secure in (("http://syncd.college.example", False), ("https://syncd.college.example", True)):
        cookie = Visitor(app, base_url).get("/sign-in").headers["Set-Cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert ("; secure" in cookie) is is_secure
        assert "max-age=43200" in cookie


def test_a_session_says_nothing_secret_and_cannot_be_made_up(store: Store) -> None:
    app = site(store)
    browser, forger = Visitor(app), Visitor(app)
    browser.sign_in(VIEWERS_PASSWORD)
    (name, value) = next(iter(browser.cookies.items()))
    assert PASSWORD not in value
    payload, _, signature = value.partition(".")
    for forged in (payload, f"{payload}x.{signature}", f"{payload}.{signature[:-1]}", "", "."):
        forger.cookies.clear()
        forger.cookies.set(name, forged)
        assert forger.get("/page").status_code == 303


def test_a_session_lasts_for_twelve_hours_however_busy_it_is(store: Store) -> None:
    clock = Clock(datetime.now(UTC))
    browser = Visitor(site(store, clock=clock))
    browser.sign_in()
    clock.go_on(hours=11, minutes=59)
    assert browser.get("/page").status_code == 200
    clock.go_on(minutes=1)
    assert browser.get("/page").status_code == 303


def test_a_session_outlives_a_restart_and_no_change_of_a_secret(store: Store) -> None:
    before = Visitor(site(store))
    before.sign_in()
    (name, value) = next(iter(before.cookies.items()))

    def status_after(credentials: Credentials) -> int:
        after = Visitor(site(store, credentials))
        after.cookies.set(name, value)
        return after.get("/page").status_code

    unchanged = (GUARDED.token, GUARDED.password_hash, GUARDED.viewer_token, GUARDED.viewer_password_hash)
    assert status_after(Credentials(*unchanged)) == 200
    for changed in range(4):
        secrets = [*unchanged]
        # The same password hashed anew is another secret, too.
        secrets[changed] = hash_of(PASSWORD)
        assert status_after(Credentials(*secrets)) == 303


@pytest.mark.parametrize("secret", [PASSWORD, VIEWERS_PASSWORD])
def test_sign_out_ends_session_for_copied_cookie(store: Store, secret: str) -> None:
    app = site(store)
    browser, copy = Visitor(app), Visitor(app)
    browser.sign_in(secret)
    copy.cookies.update(browser.cookies)
    assert copy.get("/page").status_code == 200
    assert browser.post("/sign-out").status_code == 403
    out = browser.post("/sign-out", data=browser.form_of("/page"))
    assert (out.status_code, out.headers["Location"]) == (303, "/sign-in")
    assert browser.get("/page").status_code == 303
    assert copy.get("/page").status_code == 303
    assert browser.sign_in(secret).status_code == 303
    assert browser.get("/page").status_code == 200


def test_sign_out_holds_in_other_daemons_and_expired_ones_are_removed(store: Store) -> None:
    clock = Clock(datetime.now(UTC))
    browser, copy, colleague = (Visitor(site(store, clock=clock)) for _ in range(3))
    browser.sign_in()
    colleague.sign_in()
    copy.cookies.update(browser.cookies)
    assert copy.get("/page").status_code == 200
    browser.post("/sign-out", data=browser.form_of("/page"))
    assert [each.get("/page").status_code for each in (copy, colleague)] == [303, 200]

    clock.go_on(hours=12)
    colleague.sign_in()
    colleague.post("/sign-out", data=colleague.form_of("/page"))
    with store.reading() as connection:
        assert len(connection.execute(select(revoked_session)).all()) == 1, "what has run out is kept"


def test_session_is_refused_while_revoked_sessions_cannot_be_read(store: Store) -> None:
    browser, script = Visitor(site(store)), Visitor(site(store))
    browser.sign_in()
    with store.begin() as connection:
        connection.execute(text("ALTER TABLE revoked_session RENAME TO away"))
    answer = browser.get("/page")
    assert (answer.status_code, "The state store" in answer.text) == (503, True)
    assert answer.headers["X-Content-Type-Options"] == script.get("/sign-in").headers["X-Content-Type-Options"]
    assert script.get("/api/status", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_token_seen_before_signing_in_is_worth_nothing_after(store: Store) -> None:
    browser = Visitor(site(store))
    before = browser.form_of("/sign-in")
    browser.sign_in()
    assert browser.post("/page", data=before).status_code == 403


def test_sign_in_from_another_origin_is_refused(store: Store) -> None:
    browser = Visitor(site(store))
    form = browser.form_of("/sign-in") | {"name": "Jo", "secret": PASSWORD}
    answer = browser.post("/sign-in", data=form, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert browser.get("/page").status_code == 303


def test_repeated_failed_sign_ins_must_wait_but_token_calls_do_not(store: Store) -> None:
    clock = Clock(datetime.now(UTC))
    app = site(store, clock=clock)
    guesser, colleague = Visitor(app), Visitor(app, address="192.0.2.8")
    assert [guesser.sign_in("wrong").status_code for _ in range(10)] == [403] * 10

    refusal = guesser.sign_in()
    assert (refusal.status_code, refusal.headers["Retry-After"]) == (429, "6")
    assert "Wait 6 seconds" in refusal.text
    assert colleague.sign_in().status_code == 303
    assert guesser.get("/api/status", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200

    clock.go_on(seconds=6)
    assert guesser.sign_in().status_code == 303


def test_sign_ins_and_refusals_are_logged_without_what_was_typed(store: Store) -> None:
    app = site(store, clock=Clock(datetime.now(UTC)))
    browser, viewer, script = Visitor(app), Visitor(app, address="2001:db8::7"), Visitor(app, takes="*/*")
    with structlog.testing.capture_logs() as log:
        browser.sign_in("zz-wrong", name="zz-password-in-the-wrong-field")
        browser.sign_in(name="")
        browser.sign_in(name="Jo Bloggs")
        viewer.sign_in(VIEWERS_TOKEN, name="Al")
        for given in ("Bearer zz-wrong", f"Bearer {TOKEN}", "Basic zz-wrong", ""):
            script.get("/api/status", headers={"Authorization": given})
    refusal = {"event": "sign_in_refused", "log_level": "warning", "address": "192.0.2.7", "unlogged": 0}
    admitted = {"event": "sign_in", "log_level": "info"}
    assert log == [
        refusal | {"by": "form", "reason": "wrong secret"},
        admitted | {"name": "Jo Bloggs", "address": "192.0.2.7", "may_steer": True},
        admitted | {"name": "Al", "address": "2001:db8::7", "may_steer": False},
        refusal | {"by": "token", "reason": "wrong secret"},
    ]


@pytest.mark.parametrize("by", ["form", "token"])
def test_guesses_do_not_fill_the_log_and_are_counted(store: Store, by: str) -> None:
    clock = Clock(datetime.now(UTC))
    guesser = Visitor(site(store, clock=clock))

    def guess() -> None:
        if by == "form":
            guesser.sign_in("zz-wrong")
        else:
            guesser.get("/api/status", headers={"Authorization": "Bearer zz-wrong"})

    with structlog.testing.capture_logs() as log:
        for _ in range(30):
            guess()
        clock.go_on(seconds=6)
        guess()
    assert [line["unlogged"] for line in log] == [0] * 10 + [20]
    # The limit of the form has its seconds as well.
    assert {line["reason"] for line in log} == {"wrong secret"}


def test_all_together_have_a_limit_that_no_number_of_addresses_gets_round() -> None:
    clock = Clock(datetime.now(UTC))
    attempts = Attempts(clock)
    waits = [attempts.seconds_to_wait(f"198.51.100.{number}") for number in range(50)]
    assert [bool(wait) for wait in waits] == [False] * 40 + [True] * 10
    clock.go_on(minutes=2)
    networks = [attempts.seconds_to_wait(f"2001:db8::{number:x}") for number in range(11)]
    assert [bool(wait) for wait in networks] == [False] * 10 + [True]
    assert attempts.seconds_to_wait("2001:db8:0:1::1") == 0
    assert attempts.seconds_to_wait("a socket") == 0


@example("//evil.example/")
@example("/\\evil.example")
@example("/\t/evil.example")
@example("https://evil.example/")
@example("javascript:alert(1)")
@example("/people/L1?x=é#y")
@given(st.text() | st.text("/\\:.@?#ex\t\n\r", max_size=12))
def test_sign_in_target_is_always_a_local_page(target: str) -> None:
    chosen = _local(target)
    assert chosen in {target, "/"}
    # As browsers read it: backslashes are slashes, and blanks within do not count.
    read = "".join(chosen.replace("\\", "/").split())
    assert urljoin(ELSEWHERE, read).startswith(f"{ELSEWHERE}/")
