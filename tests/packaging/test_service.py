"""The unit of systemd under a real systemd: starts that fail, what root leaves behind, reload, crash, restore, journal.

One command: pytest -m debian tests/packaging/test_service.py (needs root, debootstrap, systemd-container).
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from tests.support.polling import wait_until

from .booted import Booted, booted, installed

pytestmark = [pytest.mark.debian, pytest.mark.timeout(1200)]

_REPOSITORY = Path(__file__).parents[2]
_SYNCD = "/opt/syncd/bin/syncd"
_STATE = "/var/lib/syncd"
_TOKEN = "simulated-customer-token-for-loopback-use-only"
_CONFIGURATION = """
[onefile]
base_url = "http://127.0.0.1:8021/api/v2.1"
organisation_id = 5740
customer_token_file = "customer-token"
[source]
url = "sqlite:////etc/syncd/mis.db"
[schedule]
poll = "1h"
[[feeds]]
name = "placements"
kind = "placements"
query = "SELECT misid AS MISID, name AS Name FROM placement"
"""
_ASK = """
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen("http://127.0.0.1:8642" + sys.argv[1], timeout=30)
except urllib.error.HTTPError as refused:
    answer = refused
print(answer.status, answer.read().decode())
"""
#: systemd 252 is that of Debian 12 and of the ninth RHEL; 257 that of Debian 13.
_SUITES = ["trixie", "bookworm"]


@pytest.fixture(scope="module", params=_SUITES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """A Debian that runs, with syncd installed as the unit says."""
    folder = tmp_path_factory.mktemp("service")
    root = installed(_REPOSITORY, request.param, folder)
    try:
        with booted(root) as machine:
            yield machine
    finally:
        # It is half a gigabyte.
        rmtree(root, ignore_errors=True)


class Service:
    """The unit, with a MIS and a OneFile beside it, as its operator sees it."""

    def __init__(self, machine: Booted) -> None:
        self.machine = machine
        self._since = machine.do("date", "+%s.%N").strip()

    def write(self, name: str, text: str, mode: int = 0o600) -> None:
        file = self.machine.path(f"/etc/syncd/{name}")
        file.write_text(text)
        file.chmod(mode)

    def enrol(self, misid: str) -> None:
        file = self.machine.path("/etc/syncd/mis.db")
        mis = sqlite3.connect(file)
        mis.execute("CREATE TABLE IF NOT EXISTS placement (misid, name)")
        mis.execute("INSERT INTO placement VALUES (?, ?)", (misid, f"Placement {misid}"))
        mis.commit()
        mis.close()
        file.chmod(0o644)

    def syncd(self, *words: str) -> tuple[int, str]:
        """A command of root's beside the service, as the unit's comments say."""
        environment = {"SYNCD_CONFIG": "/etc/syncd/syncd.toml", "STATE_DIRECTORY": _STATE}
        done = self.machine.run(_SYNCD, *words, **environment)
        return done.returncode, done.stdout + done.stderr

    def systemctl(self, *words: str) -> int:
        return self.machine.run("systemctl", *words, "syncd").returncode

    def shown(self, name: str) -> str:
        return self.machine.do("systemctl", "show", f"--property={name}", "--value", "syncd").strip()

    def ask(self, path: str) -> tuple[int, Any]:
        done = self.machine.run("python3", "-c", _ASK, path)
        status, _, body = done.stdout.partition(" ")
        return (int(status), json.loads(body)) if done.returncode == 0 else (0, done.stderr)

    def is_ready(self) -> bool:
        return self.ask("/readyz")[0] == 200

    def journal(self, *options: str) -> list[dict[str, Any]]:
        """What the journal has of the unit since the test began."""
        told = self.machine.do(
            "journalctl", "--unit=syncd", f"--since=@{self._since}", "--output=json", "--quiet", *options
        )
        return [json.loads(line) for line in told.splitlines()]

    def errors(self) -> list[str]:
        """What 'journalctl -p err' shows of syncd's own lines."""
        return [line["MESSAGE"] for line in self.journal("--priority=err") if line["SYSLOG_IDENTIFIER"] == "syncd"]

    def events(self) -> list[str]:
        return [json.loads(line["MESSAGE"])["event"] for line in self.journal() if line["MESSAGE"].startswith("{")]

    def owners(self) -> set[str]:
        """Who owns the folder of the store, and each file in it."""
        return set(self.machine.do("find", f"{_STATE}/", "-printf", "%U\n").split())

    def accounts(self) -> str:
        return self.syncd("accounts")[1]


@pytest.fixture
def service(machine: Booted) -> Iterator[Service]:
    """The unit before its first start: with a configuration and a token, and no store."""
    machine.do("sh", "-c", "rm -rf /etc/syncd /var/lib/private/syncd /var/lib/syncd && mkdir -m 755 /etc/syncd")
    drop_in = machine.path("/etc/systemd/system/syncd.service.d")
    drop_in.mkdir(exist_ok=True)
    # Nobody wants to wait half a minute here.
    (drop_in / "soon.conf").write_text("[Service]\nRestartSec=1\n")
    machine.do("systemctl", "daemon-reload")
    machine.do("systemd-run", "--quiet", "--unit=onefile", _SYNCD, "simulate", "--port", "8021")
    service = Service(machine)
    service.write("syncd.toml", _CONFIGURATION, 0o644)
    service.write("customer-token", _TOKEN)
    service.enrol("P1")
    try:
        yield service
    finally:
        machine.run("systemctl", "stop", "syncd", "onefile")
        machine.run("systemctl", "reset-failed", "syncd", "onefile")


def _wait(look: Callable[[], Any], what: str, service: Service) -> None:
    try:
        wait_until(lambda: look() or None, what)
    except pytest.fail.Exception as problem:
        pytest.fail("\n".join([str(problem), *(line["MESSAGE"] for line in service.journal())]))


def test_missing_credential_is_named_and_root_sync_keeps_the_store_owner(service: Service) -> None:
    service.machine.path("/etc/syncd/customer-token").unlink()
    assert service.systemctl("start") != 0
    assert any("No customer token is set" in error for error in service.errors()), service.journal()
    service.systemctl("stop")
    (owner,) = service.owners()
    assert owner != "0"

    service.write("customer-token", _TOKEN)
    code, said = service.syncd("sync", "--approve")
    assert code == 0, said
    assert service.owners() == {owner}
    mode = service.machine.do("stat", "--format=%a", f"{_STATE}/syncd.db").strip()
    assert mode == "600"

    assert service.systemctl("start") == 0
    _wait(service.is_ready, "the service to be ready", service)
    service.enrol("P2")
    code, said = service.syncd("resync", "--wait")
    assert code in {0, 4}, said
    assert "P2" in service.accounts()
    assert service.owners() == {owner}


def test_another_credential_that_is_missing_is_named_by_systemd(service: Service) -> None:
    drop_in = service.machine.path("/etc/systemd/system/syncd.service.d/mis-url.conf")
    drop_in.write_text("[Service]\nLoadCredential=mis-url:/etc/syncd/mis-url\n")
    service.machine.do("systemctl", "daemon-reload")
    try:
        assert service.systemctl("start") != 0
        assert service.shown("ExecMainStatus") == "243"
        assert any("Failed to set up credentials" in line["MESSAGE"] for line in service.journal())
    finally:
        drop_in.unlink()
        service.machine.do("systemctl", "daemon-reload")


def test_template_unit_starts_its_own_customer_that_waits_for_the_store(service: Service) -> None:
    machine = service.machine
    machine.do("mkdir", "/etc/syncd/north")
    service.write("north/syncd.toml", _CONFIGURATION, 0o644)
    service.write("north/customer-token", _TOKEN)
    try:
        assert machine.run("systemctl", "start", "syncd@north").returncode != 0
        assert "state.url" in machine.do("journalctl", "--unit=syncd@north", "--priority=err", "--output=cat")
        service.write("north/state-url", "postgresql+psycopg://syncd@127.0.0.1:5999/north")
        machine.do("systemctl", "restart", "syncd@north")
        shown = machine.do("systemctl", "show", "--property=StatusText", "--value", "syncd@north")
        assert shown.startswith("Waits for the state store")
        machine.do("systemctl", "reload", "syncd@north")
    finally:
        machine.run("systemctl", "stop", "syncd@north")
        machine.run("systemctl", "reset-failed", "syncd@north")


def test_service_starts_when_ready_and_stops_cleanly(service: Service) -> None:
    assert service.systemctl("start") == 0
    assert service.ask("/healthz")[0] == 200
    _wait(lambda: service.shown("StatusText").startswith("Works"), "its status", service)
    assert service.systemctl("stop") == 0
    assert service.shown("Result") == "success"
    assert service.events()[-1] == "daemon_stopped"


def test_a_reload_needs_no_package_and_keeps_the_process(service: Service) -> None:
    assert not service.machine.path("/usr/bin/kill").exists()
    assert service.systemctl("start") == 0
    _wait(lambda: "run_finished" in service.events() or "run_stopped" in service.events(), "the first run", service)
    before = service.shown("MainPID")
    service.write("syncd.toml", _CONFIGURATION.replace('"1h"', '"2h"'), 0o644)
    assert service.systemctl("reload") == 0
    _wait(lambda: "configuration_reloaded" in service.events(), "the reload", service)
    _wait(lambda: service.shown("ActiveState") == "active", "the end of the reload", service)
    service.write("syncd.toml", "nonsense", 0o644)
    assert service.systemctl("reload") == 0
    _wait(lambda: "configuration_reload_failed" in service.events(), "the refusal", service)
    _wait(lambda: service.shown("ActiveState") == "active", "the end of the second reload", service)
    assert service.shown("MainPID") == before


def test_sync_as_root_may_come_before_the_first_start(service: Service) -> None:
    code, said = service.syncd("sync", "--approve")
    assert (code, f"its folder {_STATE} does not exist. Create it" in said) == (1, True), said
    service.machine.do("mkdir", "-m", "700", _STATE)
    assert service.syncd("sync", "--approve")[0] == 0
    assert service.owners() == {"0"}
    assert service.systemctl("start") == 0
    _wait(service.is_ready, "the service to be ready", service)
    assert "0" not in service.owners()


def test_after_a_crash_it_is_back_and_goes_on(service: Service) -> None:
    service.machine.do("mkdir", "-m", "700", _STATE)
    assert service.syncd("sync", "--approve")[0] == 0
    assert service.systemctl("start") == 0
    _wait(service.is_ready, "the service to be ready", service)
    before = service.shown("MainPID")
    assert service.systemctl("kill", "--signal=KILL") == 0
    _wait(lambda: service.shown("MainPID") not in {"0", before}, "another process", service)
    _wait(service.is_ready, "the service to be ready again", service)
    service.enrol("P2")
    assert service.syncd("resync", "--wait")[0] in {0, 4}
    assert "P2" in service.accounts()
    assert int(service.shown("NRestarts")) == 1


def test_a_restored_backup_that_belongs_to_root_is_reported_and_waited_for(service: Service) -> None:
    service.machine.do("mkdir", "-m", "700", _STATE)
    assert service.syncd("sync", "--approve")[0] == 0
    assert service.systemctl("start") == 0
    _wait(service.is_ready, "the service to be ready", service)
    assert service.syncd("db", "backup", "/root/syncd-backup.db")[0] == 0
    assert service.systemctl("stop") == 0
    service.machine.do("sh", "-c", f"rm {_STATE}/syncd.db* && cp /root/syncd-backup.db {_STATE}/syncd.db")
    service.machine.do("rm", "/root/syncd-backup.db")

    code, said = service.syncd("doctor")
    assert code == 1, said
    assert "syncd.db belongs to root" in said
    assert service.systemctl("start") == 0
    _wait(lambda: service.shown("StatusText").startswith("Waits for the state store"), "its status", service)
    assert service.ask("/healthz")[0] == 200
    status, checks = service.ask("/readyz")
    assert (status, checks["state_writable"]) == (503, False)
    (error,) = (json.loads(error)["reason"] for error in service.errors())
    assert f"{_STATE}/syncd.db belongs to root" in error

    *_, remedy = error.rstrip(".").rpartition(": ")
    assert remedy.startswith("chown --reference=")
    service.machine.do("sh", "-c", remedy)
    _wait(service.is_ready, "the service to go on by itself", service)
    assert service.syncd("doctor")[0] == 0
    assert "P1" in service.accounts()
    assert len(service.errors()) == 1


def test_a_restored_backup_is_given_to_the_service_by_a_run_of_roots(service: Service) -> None:
    assert service.systemctl("start") == 0
    assert service.syncd("db", "backup", f"{_STATE}/copy.db")[0] == 0
    assert service.systemctl("stop") == 0
    assert "0" not in service.owners()
    service.machine.do("sh", "-c", f"rm {_STATE}/syncd.db* && cp {_STATE}/copy.db {_STATE}/syncd.db")
    assert "0" in service.owners()
    assert service.syncd("sync", "--approve")[0] == 0
    assert "0" not in service.owners()
    assert service.systemctl("start") == 0
    _wait(service.is_ready, "the service to be ready", service)


def test_a_database_that_does_not_answer_is_waited_for_from_the_start_on(service: Service) -> None:
    state = '[state]\nurl = "postgresql+psycopg://syncd@127.0.0.1:5999/syncd"\n'
    service.write("syncd.toml", f"{_CONFIGURATION}{state}", 0o644)
    assert service.systemctl("start") == 0
    assert service.shown("ActiveState") == "active"
    assert service.ask("/healthz")[0] == 200
    status, checks = service.ask("/readyz")
    assert status == 503
    assert not any(checks.values())
    assert "127.0.0.1" in service.shown("StatusText")
    assert len(service.errors()) == 1
    assert service.systemctl("stop") == 0
    assert service.shown("Result") == "success"


def test_the_journal_has_priorities_and_json_as_it_was(service: Service) -> None:
    assert service.systemctl("start") == 0
    _wait(lambda: "daemon_started" in service.events(), "the daemon's start", service)
    assert service.errors() == []
    service.write("syncd.toml", "nonsense", 0o644)
    assert service.systemctl("reload") == 0
    _wait(lambda: "configuration_reload_failed" in service.events(), "the refusal", service)
    (error,) = service.errors()
    assert json.loads(error)["event"] == "configuration_reload_failed"
    levels = {"info": "6", "warning": "4", "error": "3"}
    lines = [line for line in service.journal() if line["SYSLOG_IDENTIFIER"] == "syncd"]
    assert {levels[json.loads(line["MESSAGE"])["level"]] == line["PRIORITY"] for line in lines} == {True}
