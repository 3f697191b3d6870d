"""What a service manager hears of a daemon, over a real socket, and how a daemon starts without its store."""

import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from syncd.daemon.config import DaemonConfig
from syncd.daemon.service_manager import ServiceManager, manager_of_this_process
from syncd.errors import ConfigurationError, StateUnreachable, StateUnusable, SyncdError
from tests.support.college import Found
from tests.support.polling import wait_until

from .daemons import living

on_sqlite = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)


class Systemd:
    """Hears what is sent to NOTIFY_SOCKET."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.heard: list[dict[str, str]] = []

    def listen(self) -> list[dict[str, str]]:
        """Everything so far."""
        while True:
            try:
                datagram = self._listener.recv(4096, socket.MSG_DONTWAIT).decode()
            except BlockingIOError:
                return self.heard
            self.heard.append(dict(line.split("=", 1) for line in datagram.split("\n")))

    def states(self) -> list[str]:
        """Which of the three was said, in order, a repetition once."""
        said = [name for each in self.listen() for name in ("READY", "RELOADING", "STOPPING") if name in each]
        return [name for before, name in zip(["", *said], said, strict=False) if name != before]

    def status(self) -> str:
        """What 'systemctl status' would show."""
        return next((each["STATUS"] for each in reversed(self.listen()) if "STATUS" in each), "")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, for that of a socket must be short."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        yield Path(made)


@pytest.fixture(params=["a path", "an abstract name"])
def address(request: pytest.FixtureRequest, folder: Path) -> str:
    return f"{folder}/notify" if request.param == "a path" else f"@{folder}/notify"


@pytest.fixture
def systemd(address: str) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        yield Systemd(listener)


@on_sqlite
def test_systemd_hears_of_the_start_a_reload_and_the_end(found: Found, systemd: Systemd, address: str) -> None:
    college, reload = found(), threading.Event()
    before = time.monotonic_ns() // 1000
    with living(college, manager=ServiceManager(address), reload=reload):
        wait_until(lambda: systemd.status().startswith("Works"))
        reload.set()
        wait_until(lambda: systemd.states() == ["READY", "RELOADING", "READY"])
        assert systemd.status().startswith("Works")
    assert systemd.states() == ["READY", "RELOADING", "READY", "STOPPING"]
    (reloading,) = (each for each in systemd.heard if "RELOADING" in each)
    assert before < int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000


@on_sqlite
def test_a_reload_that_is_refused_ends_too(found: Found, systemd: Systemd, address: str) -> None:
    def refuse(_orders: DaemonConfig) -> DaemonConfig:
        raise ConfigurationError("It makes no sense.")

    reload = threading.Event()
    with (
        structlog.testing.capture_logs() as log,
        living(found(), manager=ServiceManager(address), reload=reload, reread=refuse),
    ):
        wait_until(lambda: systemd.status().startswith("Works"))
        reload.set()
        wait_until(lambda: systemd.states() == ["READY", "RELOADING", "READY"])
    assert [line["reason"] for line in log if line["event"] == "configuration_reload_failed"] == ["It makes no sense."]


@on_sqlite
def test_a_daemon_whose_store_cannot_be_reached_is_started_and_waits(
    found: Found, systemd: Systemd, address: str
) -> None:
    tried: list[int] = []

    def open_store() -> None:
        tried.append(1)
        if len(tried) < 3:
            raise StateUnreachable("The state store\nis away.")

    college = found()
    college.enrol("L1")
    with (
        structlog.testing.capture_logs() as log,
        living(college, manager=ServiceManager(address), open_store=open_store),
    ):
        wait_until(lambda: len(tried) == 2)
        assert systemd.states() == ["READY"]
        assert systemd.status() == "Waits for the state store: The state store is away."
        wait_until(lambda: any(line["event"] == "run_finished" for line in log))
        assert systemd.status().startswith("Works")
    assert [line["event"] for line in log][:2] == ["state_store_unavailable", "daemon_started"]
    assert len(tried) == 3


@on_sqlite
def test_daemon_waiting_for_its_store_stops_on_request(found: Found, systemd: Systemd, address: str) -> None:
    def open_store() -> None:
        raise StateUnreachable("The state store is away.")

    with (
        structlog.testing.capture_logs() as log,
        living(found(), manager=ServiceManager(address), open_store=open_store),
    ):
        wait_until(lambda: systemd.states() == ["READY"])
    assert systemd.states() == ["READY", "STOPPING"]
    assert [line["event"] for line in log] == ["state_store_unavailable"]


@on_sqlite
@pytest.mark.parametrize("problem", [StateUnusable("It has another key."), ConfigurationError("It is another's.")])
def test_a_store_that_waiting_does_not_mend_ends_the_daemon(
    found: Found, systemd: Systemd, address: str, problem: SyncdError
) -> None:
    def open_store() -> None:
        raise problem

    problems: list[BaseException] = []
    with living(found(), manager=ServiceManager(address), open_store=open_store, problems=problems):
        wait_until(lambda: bool(problems))
    assert problems == [problem]
    assert systemd.states() == []


@pytest.mark.parametrize("given", ["", "/nowhere/at/all", "vsock-stream:2:1234"])
def test_without_a_manager_that_listens_nothing_happens(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", given)
    manager = manager_of_this_process()
    manager.ready("Works.")
    manager.reloading()
    manager.stopping()
