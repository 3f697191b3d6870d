"""Three databases that ``init`` has never seen: ``doctor`` accepts what it proposes, after two answers at most."""

import sqlite3
from collections import Counter
from pathlib import Path

import pytest
import structlog
from sqlalchemy import create_engine

from syncd.core.run import Trigger
from syncd.demo.data_defects import Dirt, Size
from syncd.demo.generator import Generated, generate
from syncd.demo.mis_database import College
from syncd.demo.mis_schema import LEARNER, STAFF_ROLE
from syncd.settings import load_settings
from syncd.simulator import Simulator
from syncd.sync.run import RunResult, run_once
from syncd.wiring.bounded_wait import ShortWait
from syncd.wiring.context import open_context
from syncd.wiring.store import open_store
from tests.support.provider.generator import made_up_learners
from tests.support.provider.ilr import Learner, real_return

from .ilr_tables import fill
from .office import Office

_MOST_CHANGED = 2

_OF_ONE_CENTRE = Size(centres=1, placements=6, classes=6, staff=30, employers=6, observers=2, learners=30)
_DIRT = Dirt(
    without_email=frozenset({"L1005"}),
    entered_twice=frozenset({"L1008"}),
    wrong_uln=frozenset({"L1014"}),
    no_date=frozenset({"L1017"}),
    without_site=frozenset({"L1020"}),
)


@pytest.mark.parametrize("url", ["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.slow)])
def test_relational_mis_needs_one_changed_answer_to_reach_onefile(
    url: str, office: Office, onefile: Simulator, request: pytest.FixtureRequest
) -> None:
    generated = generate(7, _OF_ONE_CENTRE, _DIRT)
    mis_url = request.getfixturevalue(url)
    College(mis_url, generated)
    # That its feeds of staff and places are to be on is for somebody to say. Everything else is as it was proposed.
    changed = ["--feeds=all"]
    assert len(changed) <= _MOST_CHANGED

    said = office.init("--database", mis_url, "--base-url", onefile.base_url, *changed)

    assert office.failed() == []
    assert "Still to do" not in said
    _shows_nobody(said, generated)
    done = _run(office)
    assert done.refused == done.in_doubt == 0
    with sqlite3.connect(office.folder / "syncd.db") as store:
        held = dict(store.execute("SELECT misid, reason FROM held WHERE NOT is_warning").fetchall())
    store.close()
    # A learner who was entered twice is sent by the newer entry.
    assert held == {"L1005": "missing"}
    learners = {user.misid for user in onefile.world.users.values() if user.role == 1}
    assert learners == {row["code"] for row in generated.rows[LEARNER]} - held.keys()
    roles = Counter(user.role for user in onefile.world.users.values() if user.misid != "T1")
    theirs = Counter(row["role"] for row in generated.rows[STAFF_ROLE])
    assert (roles[5], roles[10], roles[4]) == (theirs["Assessor"], theirs["IQA"], theirs["Trainee Assessor"])


_ILR = [
    "sqlite_url",
    pytest.param("mariadb_url", marks=[pytest.mark.mariadb, pytest.mark.shared_data]),
]


@pytest.mark.parametrize("url", _ILR)
def test_the_tables_of_an_ilr_are_accepted_with_one_answer_changed(
    url: str, office: Office, onefile: Simulator, request: pytest.FixtureRequest
) -> None:
    mis_url = request.getfixturevalue(url)
    learners = real_return() if url == "mariadb_url" else made_up_learners()
    engine = create_engine(mis_url)
    fill(engine, learners)
    engine.dispose()
    # An ILR names no class, and OneFile has several. The one assessor there is, and the placement, are proposed.
    changed = ["--default=classroom_name=Adult Skills"]
    assert len(changed) <= _MOST_CHANGED

    said = office.init("--database", mis_url, "--base-url", onefile.base_url, *changed)

    assert office.failed() == []
    assert "Still to do" not in said
    for learner in learners[:20]:
        assert str(learner.email) not in said
    columns = office.columns()
    assert columns >= {
        "MISID",
        "FirstName",
        "LastName",
        "Email",
        "DOB",
        "ULN",
        "Telephone",
        "StartOn",
        "PlannedEndDate",
    }
    assert columns >= {"PlacementMISID", "HomeAddress"}
    assert columns.isdisjoint({"NINO", "L12", "L13", "L14"})
    feed = office.doctor()["feed learners"].found
    assert feed.startswith(f"{len(learners)} rows")
    if url == "mariadb_url":
        assert "none would be held" in feed


def test_a_wide_table_of_a_spreadsheet_is_accepted_as_it_is_proposed(
    office: Office, onefile: Simulator, tmp_path: Path
) -> None:
    learners = made_up_learners()
    file = tmp_path / "export.db"
    _export(file, learners)
    changed: list[str] = []
    assert len(changed) <= _MOST_CHANGED

    said = office.init("--database", str(file), "--base-url", onefile.base_url, *changed)

    assert office.failed() == []
    assert "Still to do" not in said
    assert office.columns() >= {
        *("MISID", "FirstName", "LastName", "Email", "DOB", "ULN", "MobileNumber", "HomeAddress", "StartOn"),
        *("PlannedEndDate", "PlacementName", "ClassroomName", "DefaultAssessorMISID"),
    }
    feed = office.doctor()["feed learners"].found
    # One row each; and what was text with the day first is a date, but for the one that there never was.
    assert feed.startswith(f"{len(learners)} rows; ")
    assert " 1 DOB" in feed
    assert "; 3 would be held: " in feed
    assert "parent" not in office.written("learners.sql").lower()


def _export(file: Path, learners: list[Learner]) -> None:
    headings = (
        "Student Ref", "Forename(s)", "Surname", "Gender", "D.O.B.", "U.L.N.", "N.I. No", "Parent E-mail", "E-mail",
        "Mobile Tel", "Address Line 1", "Address Line 2", "Town", "Post Code", "Ethnicity", "Course Title",
        "Start Date", "Expected End Date", "Tutor", "Tutor Staff ID", "Employer Name",
    )  # fmt: skip
    connection = sqlite3.connect(file)
    columns = ", ".join(f'"{heading}" TEXT' for heading in headings)
    connection.execute(f'CREATE TABLE "Learner Export" ({columns})')
    for number, learner in enumerate(learners):
        born = "/".join(reversed((learner.date_of_birth or "").split(" ")[0].split("-")))
        lines = (*learner.address, "", "", "")[:3]
        for aim in learner.deliveries:
            row = (
                learner.learn_ref_number, learner.given_names, learner.family_name, learner.sex,
                born,
                str(learner.uln), learner.ni_number, f"parent{number}@home.example", learner.email,
                f"07700 900{number:03}", *lines, learner.postcode, learner.ethnicity, f"Care, group {number % 3}",
                f"{aim.learn_start_date:%d/%m/%Y}", f"{aim.learn_plan_end_date:%d/%m/%Y}", "Siân Jones",
                f"T{number % 4}", "Müller Ltd" if number % 3 else "",
            )  # fmt: skip
            connection.execute(f'INSERT INTO "Learner Export" VALUES ({", ".join("?" * len(row))})', row)
    connection.commit()
    connection.close()


def _run(office: Office) -> RunResult:
    settings = load_settings(office.folder / "syncd.toml")
    unhurried = settings.model_copy(
        update={"onefile": settings.onefile.model_copy(update={"calls_per_minute": 600_000})}
    )
    with open_context(
        unhurried, open_store(unhurried, may_create=True), structlog.get_logger(), ShortWait()
    ) as context:
        return run_once(context, Trigger.COMMAND, approved_by="a test")


def _shows_nobody(said: str, generated: Generated) -> None:
    for row in generated.rows[LEARNER]:
        for name in ("email", "uln", "nino", "mobile", "date_of_birth"):
            assert not row[name] or row[name] not in said
