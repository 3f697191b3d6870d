"""A generated college, the OneFile of its organisations, and runs between the two by the documentation's mapping."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
import structlog

from syncd.core.run import Trigger
from syncd.demo.generator import STATUSES, Generated
from syncd.demo.mis_database import College
from syncd.demo.mis_schema import CENTRE
from syncd.documentation import read
from syncd.settings import load_settings
from syncd.simulator import LimiterShape, Simulator, Switches
from syncd.state import held_records
from syncd.sync.context import SyncContext
from syncd.sync.run import RunResult, run_once
from syncd.wiring.context import open_context
from syncd.wiring.store import open_store
from tests.support.sessions import session_on


def mapping() -> str:
    """The whole configuration of the example page, as it stands there."""
    (found,) = re.findall(r"^```toml\n(\[onefile\].+?)^```", read("example-relational-mis"), re.DOTALL | re.MULTILINE)
    return str(found)


@dataclass(frozen=True, slots=True)
class Realistic:
    """What a test changes, runs and looks at."""

    generated: Generated
    mis: College
    onefile: Simulator
    context: SyncContext

    def run(self, trigger: Trigger = Trigger.COMMAND, approved_by: str = "") -> list[RunResult]:
        """One run of each organisation in turn."""
        turns = map(self.context.for_organisation, self.context.organisations)
        return [run_once(turn, trigger, approved_by=approved_by) for turn in turns]

    def held(self, *, warnings: bool = False) -> set[tuple[str, str]]:
        """The MISIDs of whoever is held, or of the warnings, each with its reason."""
        with self.context.store.begin() as connection:
            return {
                (row.misid, row.reason)
                for each in self.context.organisations
                for row in held_records.listing(session_on(connection, each), warnings=warnings)
            }


@contextmanager
def realistic(
    generated: Generated, mis_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, keychain: bool = False
) -> Iterator[Realistic]:
    """Everything in its place, and nothing in OneFile but the organisations with their learner statuses."""
    switches = Switches(limiter=LimiterShape.OFF, strict=True, employer_must_be_assigned=True, keychain=keychain)
    with Simulator(switches, {"organisations": list(_organisations(generated))}) as onefile:
        file = folder / "syncd.toml"
        # Nothing in the mapping is changed: what is another here comes from the environment, which wins.
        file.write_text(mapping().replace('environment = "practice"\n', ""), encoding="utf-8")
        for key, value in {
            "ONEFILE__BASE_URL": onefile.base_url,
            "ONEFILE__CUSTOMER_TOKEN": onefile.customer_token,
            "ONEFILE__CALLS_PER_MINUTE": "600000",
            "SOURCE__URL": mis_url,
        }.items():
            monkeypatch.setenv(f"SYNCD_{key}", value)
        settings = load_settings(file)
        store = open_store(settings, may_create=True)
        try:
            with open_context(settings, store, structlog.get_logger(), Event()) as context:
                yield Realistic(generated, College(mis_url, generated), onefile, context)
        finally:
            store.close()


def _organisations(generated: Generated) -> Iterator[dict[str, object]]:
    for centre in generated.rows[CENTRE]:
        # A status has another number in each of them.
        statuses = [{"ID": 10 * centre["id"] + number, "Name": name} for number, name in enumerate(STATUSES)]
        yield {"ID": centre["onefile_organisation_id"], "Name": centre["name"], "LearnerStatuses": statuses}
