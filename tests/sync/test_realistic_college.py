"""A realistic college of three organisations, with all the dirt that an MIS has, by the documentation's mapping."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest
import structlog

from syncd.core.fields import Role
from syncd.core.run import Trigger
from syncd.demo.data_defects import Dirt, Size
from syncd.demo.generator import AT_COLLEGE, generate
from syncd.demo.mis_schema import CENTRE, CLASS, EMPLOYER_CONTACT, LEARNER, SITE, STAFF
from syncd.operations.doctor import State
from syncd.wiring.doctor import examine
from tests.support.calls import calls_made

from .least_calls import Census, least_calls
from .realistic import Realistic, realistic

_SEED = 2026
_SMALL = Size(placements=9, classes=9, staff=30, employers=12, observers=3, learners=60)
_LARGE = Size(learners=1200)
#: One of every sort, where there is too little of everything for the usual.
_ONE_OF_EACH = Dirt(
    without_email=frozenset({"L1005", "S1004", "E1003"}),
    entered_twice=frozenset({"L1008", "S1007", "E1004"}),
    unknown_tutor=frozenset({"L1011"}),
    wrong_uln=frozenset({"L1014"}),
    no_date=frozenset({"L1017"}),
    without_site=frozenset({"L1020"}),
    shared_email={"L1023": "L1001", "E1008": "E1001"},
    two_roles=frozenset({"S1010"}),
)

_LONG = [pytest.mark.slow, pytest.mark.timeout(1200)]

Open = Callable[..., Realistic]


@pytest.fixture
def open_college(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a generated college whose MIS is in the database at a URL."""
    with ExitStack() as stack:
        yield lambda generated, url, **switches: stack.enter_context(
            realistic(generated, url, tmp_path, monkeypatch, **switches)
        )


@pytest.mark.parametrize(
    ("size", "dirt", "keychain"),
    [
        pytest.param(_SMALL, _ONE_OF_EACH, False, id="small"),
        pytest.param(_SMALL, _ONE_OF_EACH, True, id="small with Keychain", marks=pytest.mark.slow),
        pytest.param(_LARGE, Dirt.usual(_SEED, _LARGE), False, id="large", marks=_LONG),
    ],
)
def test_one_approved_run_fills_empty_onefile_with_least_calls(
    size: Size, dirt: Dirt, keychain: bool, open_college: Open, sqlite_url: str
) -> None:
    college = open_college(generate(_SEED, size, dirt), sqlite_url, keychain=keychain)

    done = college.run(approved_by="a test")

    made = calls_made(college.onefile.journal)
    assert made == least_calls(college.generated, keychain=keychain)
    assert sum(each.calls for each in done) == made.total()
    assert [(each.refused, each.in_doubt) for each in done] == [(0, 0)] * 3
    _look_at_everybody(college)
    _look_at_the_dirt(college)
    college.onefile.journal.clear()
    assert [each.calls for each in college.run(Trigger.SCHEDULE)] == [0, 0, 0]
    _rename_a_class(college)
    _put_e_mails_right(college)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite_url",
        pytest.param("postgres_url", marks=pytest.mark.slow),
        pytest.param("mariadb_url", marks=pytest.mark.mariadb),
    ],
)
def test_readme_mapping_brings_college_in_sync_on_every_database(
    url: str, open_college: Open, request: pytest.FixtureRequest
) -> None:
    size = Size(placements=6, classes=6, staff=30, employers=6, observers=3, learners=12)
    college = open_college(generate(_SEED, size, Dirt()), request.getfixturevalue(url))

    assert all(done.is_in_sync for done in college.run(approved_by="a test"))

    assert calls_made(college.onefile.journal) == least_calls(college.generated)
    _look_at_everybody(college)
    assert [done.calls for done in college.run()] == [0, 0, 0]


def test_doctor_knows_the_default_that_the_feeds_are_to_make(
    open_college: Open, tmp_path: Path, sqlite_url: str
) -> None:
    open_college(generate(_SEED, Size(placements=3, classes=3, staff=30, employers=3, learners=3), Dirt()), sqlite_url)
    file = tmp_path / "syncd.toml"

    def found() -> dict[str, tuple[State, str]]:
        findings = {one.check: (one.state, one.found) for one in examine(file, structlog.get_logger(), Event())}
        return {check: found for check, found in findings.items() if check.startswith("references")}

    to_come = (State.OK, "the feeds will create placement with the Name 'At college'")
    assert found() == {f"references {number}": to_come for number in (5740, 5741, 5742)}
    file.write_text(file.read_text(encoding="utf-8").replace('"At college"', '"At home"'), encoding="utf-8")
    nowhere = (State.FAILED, "OneFile has no placement with the Name 'At home'")
    assert found() == {f"references {number}": nowhere for number in (5740, 5741, 5742)}


def _rename_a_class(college: Realistic) -> None:
    """It is one call, and nothing to those who are in it."""
    class_ = college.generated.rows[CLASS][0]["code"]
    college.mis.correct(CLASS.c.code, class_, title="Maçonnerie, d'après-midi")

    assert [done.calls for done in college.run(Trigger.SCHEDULE)] == [1, 0, 0]

    (call,) = college.onefile.journal
    classrooms = college.onefile.world.classrooms.by_id
    (number,) = (number for number, place in classrooms.items() if place.values["MISID"] == class_)
    assert (call.path, call.body) == (f"/Classroom/{number}", {"Name": "Maçonnerie, d'après-midi"})


def _put_e_mails_right(college: Realistic) -> None:
    """Whoever was held for want of one goes out, and nobody else."""
    without = college.generated.dirt.without_email
    college.onefile.journal.clear()
    for code in without:
        for table in (LEARNER, STAFF, EMPLOYER_CONTACT):
            college.mis.correct(table.c.code, code, email=f"{code}@found.example")

    college.run(Trigger.SCHEDULE)

    assert {call.body["MISID"] for call in college.onefile.journal.writes if call.path == "/User"} == without
    assert without.isdisjoint(misid for misid, _ in college.held())


def _look_at_the_dirt(college: Realistic) -> None:
    """Whoever is held or warned about is who is dirty, for the reason that they are."""
    dirt = college.generated.dirt
    reasons = {"missing": dirt.without_email, "duplicate_key": dirt.entered_twice}
    held = {(misid, reason) for reason, misids in reasons.items() for misid in misids}
    held |= {(misid, "reference_not_found") for misid in dirt.unknown_tutor}
    # Nobody can be assigned to a learner who is held.
    assigned = {(misid, "reference_not_found") for misid in dirt.held}
    assert held <= college.held() <= held | assigned
    assert college.held(warnings=True) == {(misid, "unusable") for misid in dirt.warned}


def _look_at_everybody(college: Realistic) -> None:
    """Every learner is in the right organisation, with the people and places that they are to have."""
    world, census = college.onefile.world, Census(college.generated)
    learners = {user.misid: user for user in world.users.values() if user.role == Role.LEARNER.number}
    assert learners.keys() == census.learners.keys()
    organisations = {row["id"]: row["onefile_organisation_id"] for row in college.generated.rows[CENTRE]}
    sites = {row["code"]: row["name"] for row in college.generated.rows[SITE]}
    for code, row in census.learners.items():
        (enrolment,) = census.enrolments[code]
        user = learners[code]
        values = user.values
        placement = world.placements.by_id[values["PlacementID"]]
        classroom = world.classrooms.by_id[values["ClassroomID"]]
        people = {
            name: world.users[values[name]] for name in ("DefaultAssessorID", "DefaultEmployerID") if name in values
        }
        statuses = world.organisations.by_id[user.organisation_id].learner_statuses
        assert [values[name] for name in ("FirstName", "LastName", "Email")] == [
            row[name] for name in ("forename", "surname", "email")
        ]
        assert classroom.values["MISID"] == enrolment["class_code"]
        assert placement.values["Name"] == sites.get(row["site_code"], AT_COLLEGE)
        assert {name: person.misid for name, person in people.items()} == {
            "DefaultAssessorID": enrolment["tutor_code"],
            **({"DefaultEmployerID": row["employer_contact_code"]} if row["employer_contact_code"] else {}),
        }
        assert statuses.get(values.get("LearnerStatusID", 0)) == row["status_name"]
        wheres = {each.organisation_id for each in (user, *people.values())}
        assert wheres | {placement.organisation_id, classroom.organisation_id} == {
            organisations[census.centre_of(code)]
        }
    assigned = {(world.users[each.learner_id].misid, world.users[each.user_id].misid) for each in world.assignments}
    assert assigned == {(learner, user) for learner, user, _ in census.assignments}
