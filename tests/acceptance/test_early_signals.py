"""Signals that reach the daemon at any instant of its start: as soon as there is a process, and while it imports."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from syncd.early_signals import is_daemon
from tests.support.command import Exit, Finished, Running, Syncd
from tests.support.polling import wait_until

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="asks Linux which signals a process handles"
)
on_sqlite = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_HANDLED: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
#: Modules in the order in which a daemon imports them; "" is as soon as the process handles the signals.
_MOMENTS: Final = (
    "",
    "syncd.errors",
    "syncd.cli.program",
    "sqlalchemy.engine",
    "syncd.daemon.daemon",
    "syncd.web.app",
    "syncd.wiring.notify",
)
#: Those after which it takes long until the daemon opens anything.
_LONG_BEFORE: Final = _MOMENTS[:4]


def _handles_signals(daemon: Running) -> bool:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text(encoding="utf-8")
    (mask,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
    return all(mask >> (number - 1) & 1 for number in _HANDLED)


def _imported(daemon: Running) -> list[str]:
    """The modules that it has imported so far, which Python lists if it is asked to."""
    lines = daemon.stderr.read_text(encoding="utf-8").splitlines()
    return [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]


def _wait_for(moment: str, daemon: Running) -> None:
    if moment:
        wait_until(lambda: moment in _imported(daemon), f"the import of {moment}", pause=0.001)
    else:
        wait_until(lambda: _handles_signals(daemon), "the first handler", pause=0.0005)


@contextmanager
def _starting(syncd: Syncd, *arguments: str) -> Iterator[Running]:
    syncd.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    with syncd.start(*arguments) as running:
        yield running


def _said(finished: Finished) -> str:
    return "".join(
        line for line in finished.stderr.splitlines(keepends=True) if not line.startswith(("import time:", "{"))
    )


@on_sqlite
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)], ids=lambda number: number.name
)
@pytest.mark.parametrize("moment", _MOMENTS)
def test_stop_before_the_daemon_is_ready_ends_it_with_0(syncd: Syncd, moment: str, number: signal.Signals) -> None:
    with _starting(syncd, "run") as daemon:
        _wait_for(moment, daemon)
        daemon.process.send_signal(number)
        finished = daemon.wait()
    assert finished.exit == Exit.IN_STEP
    assert _said(finished) == ""
    if moment in _LONG_BEFORE:
        assert not (syncd.folder / "state.db").exists()


@on_sqlite
def test_reload_and_request_at_every_moment_of_the_start_are_carried_out(syncd: Syncd) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    syncd.configure(schedule={"poll": "1h"})
    with _starting(syncd, "run") as daemon:
        for moment in _MOMENTS:
            _wait_for(moment, daemon)
            daemon.process.send_signal(signal.SIGHUP)
            daemon.process.send_signal(signal.SIGUSR1)
        daemon.wait_for_event("daemon_started")
        daemon.wait_for_event("configuration_reloaded")
        daemon.wait_for_event("run_started", trigger="request")
        finished = daemon.terminate()
    assert finished.exit == Exit.IN_STEP
    assert _said(finished) == ""


@on_sqlite
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1], ids=lambda number: number.name)
@pytest.mark.slow
def test_signal_to_the_daemon_alone_is_carried_out_too(syncd: Syncd, number: signal.Signals) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    syncd.configure(schedule={"poll": "1h"})
    with _starting(syncd, "--config", str(syncd.file), "run") as daemon:
        _wait_for("", daemon)
        daemon.process.send_signal(number)
        if number == signal.SIGHUP:
            daemon.wait_for_event("configuration_reloaded")
        else:
            daemon.wait_for_event("run_started", trigger="request")
        assert daemon.terminate().exit == Exit.IN_STEP


@on_sqlite
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1], ids=lambda number: number.name)
def test_other_commands_end_by_a_signal_as_any_program(syncd: Syncd, number: signal.Signals) -> None:
    with _starting(syncd, "status") as command:
        _wait_for("syncd.errors", command)
        command.process.send_signal(number)
        assert command.process.wait(60) == -number


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("run", True),
        ("run --config syncd.toml", True),
        ("--config syncd.toml run", True),
        ("--config=syncd.toml run", True),
        ("-c run run", True),
        ("-c run status", False),
        ("--config run", False),
        ("help run", False),
        ("plan", False),
        ("plan run", False),
        ("--version", False),
        ("", False),
    ],
)
def test_only_the_command_run_is_the_daemon(arguments: str, *, expected: bool) -> None:
    assert is_daemon(arguments.split()) is expected
