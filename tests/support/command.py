"""The command line, run as an operator's shell would run it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import IO, Any, Final, TypeAlias

from syncd.core.fields import PLACES

from . import forking
from .addresses import listens
from .polling import wait_until

COMMAND: Final = (sys.executable, "-m", "syncd")
#: Calls a minute. OneFile's 300 have a test of their own, the others wait for nothing …
UNHURRIED: Final = 60_000
#: … but for those that must catch a run at its work.
SLOW: Final = 1200
#: … and for those that must still find it at its work after another command has started and ended.
VERY_SLOW: Final = 60

_LONGEST_COMMAND_SECONDS: Final = 280
#: Variables that no command inherits. To read the certificates that some name takes as long as a short command.
_OF_THIS_MACHINE: Final = ("SYNCD_", "SSL_CERT_")

Configuration: TypeAlias = dict[str, dict[str, object]]


class Exit(IntEnum):
    """What the contract says an exit code means."""

    IN_STEP = 0
    COULD_NOT_RUN = 1
    WRONG_USAGE = 2
    AWAITING_APPROVAL = 3
    SOME_HELD = 4
    LOCKED = 5


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left behind."""

    exit: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document."""
        return json.loads(self.stdout)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log: every line of standard error that is JSON."""
        return events_in(self.stderr)


@dataclass(frozen=True, slots=True)
class Running:
    """A command that has not ended yet."""

    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    def kill(self) -> None:
        """End it as the out-of-memory killer would."""
        self.process.send_signal(SIGKILL)
        self.process.wait(_LONGEST_COMMAND_SECONDS)

    def terminate(self) -> Finished:
        """Ask it to end, as a service manager does, and wait until it has."""
        self.process.send_signal(SIGTERM)
        return self.wait()

    def wait(self) -> Finished:
        """Wait for its own end."""
        return Finished(
            self.process.wait(_LONGEST_COMMAND_SECONDS),
            self.stdout.read_text(encoding="utf-8"),
            self.stderr.read_text(encoding="utf-8"),
        )

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log so far."""
        return events_in(self.stderr.read_text(encoding="utf-8"))

    def wait_for_event(self, name: str, **fields: object) -> dict[str, Any]:
        """Wait until the log has an event with these fields, and give it."""

        def look() -> dict[str, Any] | None:
            assert self.process.poll() is None, f"syncd ended early:\n{self.stderr.read_text(encoding='utf-8')}"
            wanted = {"event": name, **fields}
            return next((event for event in self.events if wanted.items() <= event.items()), None)

        return wait_until(look, f"the event {name}")

    def wait_until_it_listens(self, address: str) -> None:
        """Wait until it takes connections at this host and port."""

        def look() -> bool:
            assert self.process.poll() is None, f"syncd ended early:\n{self.stderr.read_text(encoding='utf-8')}"
            return listens(address)

        wait_until(look, f"{address} to listen")


class Syncd:
    """A configuration in a folder of its own, and the commands that are run with it."""

    def __init__(self, folder: Path, customer_token: str, configuration: Configuration, feed: str) -> None:
        self.folder = folder
        self.customer_token = customer_token
        self.configuration = configuration
        self.environment: dict[str, str] = {}
        self.longest_seconds: float = _LONGEST_COMMAND_SECONDS
        """For how long a command may take that is run to its end."""
        self.umask = -1
        """Of what `start` starts; -1 for that of this process."""
        self._feeds: list[dict[str, object]] = [{"name": "learners", "role": "Learner", "query_file": self.feed.name}]
        self._commands = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.write_feed(feed)
        self.configure()

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / "syncd.toml"

    @property
    def feed(self) -> Path:
        """The feed's SQL."""
        return self.folder / "learners.sql"

    def write_feed(self, sql: str) -> None:
        """Replace the feed's SQL."""
        self.feed.write_text(sql, encoding="utf-8")

    def add_feed(self, name: str, role: str, sql: str) -> None:
        """Have another feed beside that of the learners, of people of a role or of places."""
        (self.folder / f"{name}.sql").write_text(sql, encoding="utf-8")
        of = {"kind": f"{role.lower()}s"} if role in PLACES else {"role": role}
        self._feeds.append({"name": name, **of, "query_file": f"{name}.sql"})
        self.configure()

    def configure(self, **sections: dict[str, object]) -> None:
        """Lay these keys over the configuration and write it."""
        for section, keys in sections.items():
            self.configuration[section] = self.configuration.get(section, {}) | keys
        tables = [_table(f"[{name}]", keys) for name, keys in self.configuration.items()]
        tables += [_table("[[feeds]]", feed) for feed in self._feeds]
        self.file.write_text("\n".join(tables), encoding="utf-8")

    def __call__(self, *arguments: str) -> Finished:
        """Run a command to its end, in a process that is forked from one that has loaded syncd."""
        stdout, stderr = self._outputs(arguments[0])
        code = forking.run(
            arguments, self.folder, self._environment(), stdout, stderr, timeout_seconds=self.longest_seconds
        )
        return Finished(code, stdout.read_text(encoding="utf-8"), stderr.read_text(encoding="utf-8"))

    def run(self, *arguments: str, stdout: IO[bytes]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end with this standard output."""
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=_LONGEST_COMMAND_SECONDS,
        )

    def approve_first_run(self) -> None:
        """Have the first run that creates accounts stopped and approved, so that a later one may send its plan."""
        assert self("sync").exit == Exit.AWAITING_APPROVAL
        approved = self("approve")
        assert approved.exit == Exit.IN_STEP, approved.stderr

    @contextmanager
    def start(self, *arguments: str) -> Iterator[Running]:
        """Run a command alongside, as a shell starts it; whatever is still going at the end is killed."""
        stdout, stderr = self._outputs(arguments[0])
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                umask=self.umask,
            )
            try:
                yield Running(process, stdout, stderr)
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()

    def _outputs(self, command: str) -> tuple[Path, Path]:
        """New files for what a command writes."""
        self._commands += 1
        stem = f"{self._commands:03}-{command}"
        return self.folder / f"{stem}.out", self.folder / f"{stem}.err"

    def everything_said(self) -> Iterator[tuple[str, str]]:
        """What every command so far has written, by the name of its file."""
        for file in sorted((*self.folder.glob("*.out"), *self.folder.glob("*.err"))):
            yield file.name, file.read_text(encoding="utf-8")

    def _environment(self) -> Mapping[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_MACHINE)}
        return {
            **inherited,
            "SYNCD_CONFIG": str(self.file),
            "SYNCD_ONEFILE__CUSTOMER_TOKEN": self.customer_token,
            **self.environment,
        }


def events_in(log: str) -> list[dict[str, Any]]:
    """The log lines in a text."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{") and line.endswith("}")]


def _table(header: str, keys: Mapping[str, object]) -> str:
    # Strings, numbers, booleans and lists of them are written alike in JSON and in TOML.
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items())
    return "\n".join((header, *lines, ""))
