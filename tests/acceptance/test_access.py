"""A real daemon that other machines can reach: who is let in, and does its API do what its document says."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Final

import httpx
import pytest
import structlog
from starlette.applications import Starlette

from syncd.settings import load_settings
from syncd.web.auth.credentials import EVERYTHING, Credentials
from syncd.wiring.admin import admin_app
from syncd.wiring.store import open_store
from tests.support.addresses import free_address
from tests.support.command import COMMAND, Exit, Syncd
from tests.support.polling import wait_until
from tests.support.routes import every_address

on_sqlite = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_TOKEN: Final = "zz-an-admin-token"
_BEARER: Final = {"Authorization": f"Bearer {_TOKEN}"}

_PASSWORD = "correct horse battery"


@contextmanager
def _served(syncd: Syncd, host: str = "0.0.0.0") -> Iterator[str]:  # noqa: S104
    """The address of a daemon that listens there, on every interface as a rule; its first poll waits for approval."""
    address = free_address()
    syncd.configure(admin={"listen": address.replace("127.0.0.1", host)}, schedule={"poll": "1h"})
    with syncd.start("run") as daemon:
        daemon.wait_until_it_listens(address)
        wait_until(lambda: {"run_stopped"} & {event["event"] for event in daemon.events}, "a poll")
        yield f"http://{address}"
        finished = daemon.terminate()
    assert finished.exit == Exit.IN_STEP, finished.stderr
    assert "Traceback" not in finished.stderr


def _app(syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> Starlette:
    """What such a daemon serves, to ask which addresses there are."""
    with monkeypatch.context() as patch:
        for name, value in syncd.environment.items():
            patch.setenv(name, value)
        settings = load_settings(syncd.file)
        store = open_store(settings, may_create=True)
    try:
        return admin_app(lambda: settings, store, structlog.get_logger(), Event())
    finally:
        store.close()


@on_sqlite
def test_a_daemon_that_others_can_reach_answers_nothing_without_a_token(
    syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncd.environment["SYNCD_ADMIN__TOKEN"] = _TOKEN
    with _served(syncd) as url, httpx.Client(base_url=url) as curl:
        addresses = sorted(set(every_address(_app(syncd, monkeypatch).routes)))
        answers = {(method, path): curl.request(method, path) for method, path in addresses}
        through_a_proxy = curl.get("/healthz", headers={"X-Forwarded-For": "192.0.2.7"})
        admitted = curl.get("/api/status", headers=_BEARER)
        waiting = admitted.json()["awaiting_approval"]

    answered = {address for address, answer in answers.items() if answer.status_code != 401}
    # This machine itself may ask whether syncd lives, and everybody may see the way in and what it is painted with.
    assert answered - {("GET", "/static/x")} == {
        ("GET", "/healthz"),
        ("HEAD", "/healthz"),
        ("GET", "/sign-in"),
        ("HEAD", "/sign-in"),
        ("POST", "/sign-in"),
    }
    assert answers["POST", "/sign-in"].status_code == 403
    assert ("POST", "/api/runs/1/approve") in answers
    assert (through_a_proxy.status_code, admitted.status_code) == (401, 200)
    assert waiting is not None


@on_sqlite
def test_without_any_secret_it_does_not_listen_to_others(syncd: Syncd) -> None:
    syncd.configure(admin={"listen": "0.0.0.0:0"})
    refused = syncd("run")
    assert refused.exit == Exit.COULD_NOT_RUN
    assert "syncd admin password" in refused.stderr


@pytest.mark.slow
@on_sqlite
def test_a_password_is_hashed_by_a_command_and_then_admits_a_browser(syncd: Syncd) -> None:
    hashed = subprocess.run(
        [*COMMAND, "admin", "password"], input=f"{_PASSWORD}\n", capture_output=True, text=True, check=True
    ).stdout.strip()
    (syncd.folder / "password-hash").write_text(hashed)
    syncd.configure(admin={"password_hash_file": "password-hash", "trusted_proxies": ["127.0.0.1"]})
    with _served(syncd) as url, httpx.Client(base_url=url, headers={"Accept": "text/html"}) as browser:
        _, _, after = browser.get("/sign-in").text.partition('name="csrf_token" value="')
        form = {"csrf_token": after.partition('"')[0], "name": "Jo"}
        wrong = browser.post("/sign-in", data=form | {"secret": "wrong"})
        right = browser.post("/sign-in", data=form | {"secret": _PASSWORD})
        status = browser.get("/api/status")
        browser.cookies.clear()
        over_tls = browser.get("/sign-in", headers={"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]
    assert (wrong.status_code, right.status_code, status.status_code) == (403, 303, 200)
    assert "; secure" in over_tls.lower()
    assert _PASSWORD not in "".join(text for _, text in syncd.everything_said())


def test_a_password_typed_at_a_terminal_is_typed_twice_and_not_shown() -> None:
    terminal, end = pty.openpty()
    command = [*COMMAND, "admin", "password"]
    with subprocess.Popen(command, stdin=end, stderr=end, stdout=subprocess.PIPE, text=True) as asking:
        os.close(end)
        shown = b""
        for question in (b"Password: ", b"Once more: "):
            while not shown.endswith(question):
                shown += os.read(terminal, 1000)
            os.write(terminal, f"{_PASSWORD}\n".encode())
        hashed, _ = asking.communicate(timeout=60)
    os.close(terminal)
    assert _PASSWORD.encode() not in shown
    assert Credentials(password_hash=hashed.strip()).of_secret(_PASSWORD) == EVERYTHING


@pytest.mark.slow
def test_a_short_password_is_not_hashed() -> None:
    refused = subprocess.run(
        [*COMMAND, "admin", "password"], input="eleven char", capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stdout) == (Exit.WRONG_USAGE, "")
    assert "12 characters" in refused.stderr
    assert "eleven" not in refused.stderr


@pytest.mark.slow
@on_sqlite
@pytest.mark.parametrize(("host", "token"), [("0.0.0.0", _TOKEN), ("127.0.0.1", "")])  # noqa: S104
def test_the_api_does_what_its_document_says(syncd: Syncd, host: str, token: str) -> None:
    syncd.environment["SYNCD_ADMIN__TOKEN"] = token
    with _served(syncd, host) as url:
        described = httpx.get(f"{url}/api/openapi.json", headers=_BEARER).json()["paths"]
        report = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                *("run", f"{url}/api/openapi.json", "--checks", "all", "--max-examples", "50"),
                *("--header", f"Authorization: Bearer {token}") * bool(token),
                *("--generation-deterministic", "--no-color"),
            ],
            cwd=syncd.folder,
            capture_output=True,
            text=True,
            check=False,
        )
    assert report.returncode == 0, report.stdout + report.stderr
    # All but the document itself.
    assert f"Tested: {len(described) - 1}\n" in report.stdout, report.stdout
