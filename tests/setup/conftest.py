"""A OneFile to begin with, and ``init`` and ``doctor`` as they are called."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.simulator import LimiterShape, Simulator, Switches

from .office import Office


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.upper().startswith("SYNCD_")]:
        monkeypatch.delenv(variable)


@pytest.fixture
def onefile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A OneFile with three classes, three placements and an assessor; its token is in the environment."""
    here = {"OrganisationID": 5740}
    assessor = {
        "Role": 5,
        "FirstName": "Siân",
        "LastName": "Pryce-Jones",
        "Email": "sian@college.example",
        "MISID": "T1",
    }
    seed = {
        "organisations": [{"ID": 5740, "Name": "Ynys Môn College"}],
        "classrooms": [{**here, "Name": name} for name in ("Induction", "Adult Skills", "Apprentices")],
        "placements": [{**here, "Name": name} for name in ("O'Brien's Café", "Default Placement", "Müller Ltd")],
        "users": [{**here, **assessor}],
    }
    with Simulator(Switches(limiter=LimiterShape.OFF), seed) as onefile:
        monkeypatch.setenv("SYNCD_ONEFILE__CUSTOMER_TOKEN", onefile.customer_token)
        yield onefile


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Where somebody begins."""
    return Office(tmp_path / "college")
