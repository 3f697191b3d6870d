"""A log pipe that nothing reads: runs are made, the lock is released, and a signal ends the daemon."""

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGTERM

import pytest

from tests.support.command import COMMAND, Exit, Syncd, events_in
from tests.support.polling import wait_until
from tests.support.provider.expected import sendable
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile

pytestmark = [
    pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="fills a pipe as Linux has it"),
    pytest.mark.parametrize("mis", ["sqlite"], indirect=True),
]
_FILLER = b"x" * 4095 + b"\n"


@contextmanager
def _onto_a_full_pipe(syncd: Syncd, *arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A command whose standard error is a pipe that is full; gives the end that nothing reads from."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, len(_FILLER))
    os.write(writing, _FILLER)
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=syncd.folder,
        env=syncd._environment(),  # noqa: SLF001
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writing,
    )
    os.close(writing)
    try:
        yield process, reading
    finally:
        process.kill()
        process.wait()
        os.close(reading)


def test_daemon_sends_and_ends_although_nothing_reads_its_log(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    syncd.approve_first_run()
    with _onto_a_full_pipe(syncd, "run") as (daemon, _):
        wait_until(lambda: sorted(map(str, onefile.misids)) == sorted(sendable(mis)), "everyone to be sent")
        # The lock is free between two polls.
        wait_until(lambda: syncd("sync").exit in {Exit.IN_STEP, Exit.SOME_HELD}, "the lock to be free")
        daemon.send_signal(SIGTERM)
        asked_at = time.monotonic()
        assert daemon.wait(60) == Exit.IN_STEP
        assert time.monotonic() - asked_at < 10


@pytest.mark.parametrize("command", [("sync", "--approve"), ("verify",)], ids=" ".join)
@pytest.mark.slow
def test_command_is_carried_out_although_nothing_reads_its_log(syncd: Syncd, command: tuple[str, ...]) -> None:
    assert syncd("db", "upgrade").exit == Exit.IN_STEP
    with _onto_a_full_pipe(syncd, *command) as (process, _):
        assert process.wait(60) in {Exit.IN_STEP, Exit.SOME_HELD}


@pytest.mark.slow
def test_daemon_with_a_stuck_log_ends_with_1_when_it_cannot_start(syncd: Syncd) -> None:
    syncd.configure(guard={"flor": 3})
    with _onto_a_full_pipe(syncd, "run") as (daemon, _):
        assert daemon.wait(60) == Exit.COULD_NOT_RUN


def test_log_is_complete_and_in_order_once_it_is_read(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    syncd.approve_first_run()
    with _onto_a_full_pipe(syncd, "run") as (daemon, reading):
        wait_until(lambda: sorted(map(str, onefile.misids)) == sorted(sendable(mis)), "everyone to be sent")
        daemon.send_signal(SIGTERM)
        with os.fdopen(os.dup(reading), "rb") as log:
            said = log.read()
        assert daemon.wait(60) == Exit.IN_STEP
    events = events_in(said.removeprefix(_FILLER).decode())
    applied = [event["misid"] for event in events if event["event"] == "change_applied"]
    assert sorted(applied) == sorted(sendable(mis))
    landmarks = ("daemon_started", "run_started", "plan_ready", "change_applied", "run_finished", "daemon_stopped")
    first = dict.fromkeys(event["event"] for event in events if event["event"] in landmarks)
    assert tuple(first) == landmarks
    assert events[-1]["event"] == "daemon_stopped"
    assert "log_lines_dropped" not in {event["event"] for event in events}
