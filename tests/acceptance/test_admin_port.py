"""A real daemon with 1,024 file descriptors, and clients without credentials who want them all."""

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Final

import httpx
import pytest

from tests.support.addresses import free_address
from tests.support.command import Exit, Running, Syncd
from tests.support.polling import wait_until

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_DESCRIPTORS: Final = 1024
_CLIENTS: Final = 1010
_POLLS: Final = 4
#: On an idle machine the polls take about 8 seconds.
_PATIENCE_SECONDS: Final = 60

_HALF_OPEN: Final = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_HALF_SENT: Final = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\nname="
_MALFORMED: Final = b"\x16\x03\x01\x02\x00\x01\r\n\r\n"
_UPGRADE: Final = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@contextmanager
def _many_descriptors() -> Iterator[None]:
    """This process needs more of them than the one that it attacks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3 * _CLIENTS:
        missing = "needs more file descriptors than this user may have"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3 * _CLIENTS), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def _attack(address: str, sends: bytes) -> Iterator[None]:
    """Clients who send this and no more, and come again whenever they are turned away."""
    host, port = address.split(":")
    over = Event()

    def attack() -> None:
        clients: list[socket.socket] = []
        while not over.is_set():
            try:
                client = socket.create_connection((host, int(port)), timeout=1)
                client.sendall(sends)
                clients.append(client)
            except OSError:
                pass  # It was turned away.
            # Some hundred connections in a second: the limits are tested, and not what a machine can do at most.
            time.sleep(0.001)
            if len(clients) > _CLIENTS:
                clients.pop(0).close()
        for client in clients:
            client.close()

    with _many_descriptors():
        thread = Thread(target=attack)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _healthz(address: str) -> int:
    """The status of an answer, or 0 if the connection was closed for others."""
    try:
        return httpx.get(f"http://{address}/healthz", timeout=_PATIENCE_SECONDS).status_code
    except (httpx.ReadError, httpx.RemoteProtocolError):
        return 0


def _polls(daemon: Running) -> int:
    return sum(event["event"] == "run_finished" for event in daemon.events)


@pytest.mark.parametrize(
    "sends",
    [
        pytest.param(_HALF_OPEN, id="headers"),
        *(
            pytest.param(sends, id=name, marks=pytest.mark.slow)
            for name, sends in {"silent": b"", "body": _HALF_SENT, "malformed": _MALFORMED, "upgrade": _UPGRADE}.items()
        ),
    ],
)
def test_clients_without_credentials_do_not_stop_the_polls(syncd: Syncd, sends: bytes) -> None:
    syncd.approve_first_run()
    address = free_address()
    syncd.environment["SYNCD_ADMIN__TOKEN"] = "zz-the-token-of-the-college"
    syncd.configure(admin={"listen": address})
    with syncd.start("run") as daemon:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
        daemon.wait_until_it_listens(address)
        wait_until(lambda: _polls(daemon) >= 1, "a poll")
        with _attack(address, sends):
            polls_before, written_before = _polls(daemon), daemon.stderr.stat().st_size
            open_at_most, deadline = 0, time.monotonic() + _PATIENCE_SECONDS
            while _polls(daemon) < polls_before + _POLLS:
                assert time.monotonic() < deadline, f"{_polls(daemon) - polls_before} polls of {_POLLS}"
                # Complete requests are answered until there are too many from one address.
                assert _healthz(address) == 200 or sends == _UPGRADE
                descriptors = Path(f"/proc/{daemon.process.pid}/fd")
                open_at_most = max(open_at_most, len(list(descriptors.iterdir())))
                time.sleep(0.1)
            polls, written = _polls(daemon) - polls_before, daemon.stderr.stat().st_size - written_before
        finished = daemon.terminate()
    assert {"poll_failed", "state_store_unavailable"} & {event["event"] for event in daemon.events} == set()
    assert open_at_most < _DESCRIPTORS / 2
    # What the polls themselves write is about a kilobyte each.
    assert written < 4_000 * polls
    assert finished.exit == Exit.IN_STEP
