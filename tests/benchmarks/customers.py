"""Customers of one host: each has an MIS, a OneFile, a database and a daemon, all of them its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from syncd.resources import shipped
from syncd.simulator import LimiterShape, Simulator, Switches
from tests.support.addresses import free_address

from .college import ORGANISATION, College, put_in_step, residents, seed
from .contenders import Hollow
from .databases import Make
from .learners import fill

_UNIT: Final = shipped("config") / "syncd@.service"
_PATIENCE_AT_THE_END_SECONDS: Final = 60.0
#: What is got ready beforehand is in nobody's way.
_NICE: Final = 10


@dataclass(frozen=True, slots=True)
class Customer:
    """One of them; the OneFile is served by this process."""

    college: College
    onefile: Simulator


@contextmanager
def customers(folder: Path, make: Make, count: int, learners: int, poll: str) -> Iterator[list[Customer]]:
    """So many of them, each with so many learners who are in step. Raises `Hollow` when somebody is not."""
    with ExitStack() as stack:
        onefiles = [
            stack.enter_context(_onefile(ORGANISATION + number, learners, f"token-of-{number}"))
            for number in range(count)
        ]
        laid_out = [
            College(
                folder / f"customer-{number}",
                make("sqlite"),
                make("postgresql"),
                onefile.base_url,
                free_address(),
                organisation=ORGANISATION + number,
                customer_token=onefile.customer_token,
                poll=poll,
            )
            for number, onefile in enumerate(onefiles)
        ]
        with ProcessPoolExecutor(1, get_context("forkserver"), partial(os.nice, _NICE)) as beside:
            written = list(beside.map(_lay_out, laid_out, [learners] * count))
        if set(written) != {learners}:
            raise Hollow(f"not every customer has {learners} learners who are in step")
        yield [Customer(college, onefile) for college, onefile in zip(laid_out, onefiles, strict=True)]


def _onefile(organisation: int, learners: int, token: str) -> Simulator:
    onefile = Simulator(Switches(limiter=LimiterShape.BUCKET), seed(organisation), customer_token=token)
    onefile.sow({"users": residents(learners, organisation)})
    return onefile


def _lay_out(college: College, learners: int) -> int:
    """Fill the MIS, and a store that is in step with it; gives how many accounts it has."""
    fill(college.source, learners, seed=college.organisation)
    with college.laid_out().context() as context:
        return put_in_step(context)


@dataclass(frozen=True, slots=True)
class Daemon:
    """`syncd run` for a customer, in a process of its own."""

    college: College
    process: subprocess.Popen[bytes]
    log: Path
    began_at: float
    """In seconds since 1970, as all moments here."""

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.process.pid

    def moments_of(self, event: str) -> list[float]:
        """When it has logged this, each time. Raises `Hollow` if it has ended."""
        return [each["at"] for each in self.events() if each["event"] == event]

    def events(self) -> list[dict[str, Any]]:
        """All that it has logged. Raises `Hollow` if it has ended."""
        if self.process.poll() is not None:
            raise Hollow(f"a daemon has ended with {self.process.returncode}:\n{self.log.read_text(encoding='utf-8')}")
        *lines, _unfinished = self.log.read_text(encoding="utf-8").split("\n")
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [each | {"at": datetime.fromisoformat(each["at"]).timestamp()} for each in events]

    def kill(self) -> float:
        """End it as a machine that breaks down would; gives when that was."""
        at = time.time()
        self.process.kill()
        self.process.wait()
        return at


@contextmanager
def daemons(colleges: list[College], name: str = "daemon") -> Iterator[list[Daemon]]:
    """A daemon for each, all begun at once; at the end those that live yet are told to end.

    Raises `Hollow` when one of them does not end well.
    """
    with ExitStack() as stack:
        begun = [stack.enter_context(_daemon(college, name)) for college in colleges]
        yield begun
        alive = [daemon for daemon in begun if daemon.process.poll() is None]
        for daemon in alive:
            daemon.process.terminate()
        codes = {daemon.process.wait(_PATIENCE_AT_THE_END_SECONDS) for daemon in alive}
        if codes - {0}:
            raise Hollow(f"daemons that were told to end have ended with {codes}")


@contextmanager
def _daemon(college: College, name: str) -> Iterator[Daemon]:
    log = college.folder / f"{name}.log"
    with log.open("wb") as stderr:
        began_at = time.time()
        process = subprocess.Popen(
            [sys.executable, "-m", "syncd", "run"],
            cwd=college.folder,
            env=_environment(college),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        try:
            yield Daemon(college, process, log, began_at)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _environment(college: College) -> Mapping[str, str]:
    """What the unit that is shipped sets, with the customer's folder in the place of those on a real host."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
    lines = _UNIT.read_text(encoding="utf-8").splitlines()
    settings = [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    for place in ("/etc/syncd/%i", "%d"):
        settings = [setting.replace(place, str(college.folder)) for setting in settings]
    return inherited | dict(setting.split("=", 1) for setting in settings) | {"SYNCD_ADMIN__LISTEN": college.admin}


def elsewhere(college: College) -> College:
    """The same customer for a second daemon: its pages have another address."""
    return replace(college, admin=free_address())
