"""Learners whose employer has no account: an optional value that cannot be sent is left out, the learner is sent."""

import pytest

from syncd.core.fields import Role
from tests.support.college import College, Found
from tests.sync.whole import Whole

_LEFT_OUT = ("reference_not_found", "DefaultEmployerID")


@pytest.fixture
def whole(found: Found) -> Whole:
    whole = Whole(found(strict=True))
    whole.college.with_policy(max_in_flight=1)
    whole.add(Role.PLACEMENT, "P1", Address="1 High Street")
    whole.add(Role.CLASSROOM, "C1")
    whole.add(Role.ASSESSOR, "A9")
    return whole


def _employer_of(college: College, misid: str) -> object:
    (user,) = college.in_onefile(misid)
    return user.values.get("DefaultEmployerID")


def test_learner_of_an_unknown_employer_is_sent_and_gets_it_later(whole: Whole) -> None:
    learner = whole.learner("L1", DefaultEmployerMISID="E1")

    assert whole.run().is_in_sync
    assert whole.college.warnings == {"L1": _LEFT_OUT}
    assert whole.college.known_id("L1") is not None
    learner["LastName"] = "Married"
    whole.forget()
    assert whole.run().is_in_sync
    assert [body for _, body in whole.told] == [{"LastName": "Married"}]

    whole.add(Role.EMPLOYER, "E1", PlacementMISID="P1")
    assert whole.run().is_in_sync

    assert [body for _, body in whole.told][1:] == [{"DefaultEmployerID": whole.id_of(Role.EMPLOYER, "E1")}]
    assert whole.college.warnings == {}


@pytest.mark.parametrize("employers", [1, 7], ids=["refused", "queued"])
def test_learner_is_sent_although_the_employer_was_not_created(whole: Whole, employers: int) -> None:
    """Of seven employers, OneFile refuses five; the creates of the others are then left queued."""
    bosses = [
        whole.add(Role.EMPLOYER, f"E{number}", PlacementMISID="P1", LastName="W" * 60) for number in range(employers)
    ]
    last = f"E{employers - 1}"
    whole.learner("L1", DefaultEmployerMISID=last)

    whole.run()

    assert _employer_of(whole.college, "L1") is None
    assert "L1" not in whole.college.held
    whole.forget()
    for number, boss in enumerate(bosses):
        boss["LastName"] = f"Example-{number}"
    for _ in range(3):
        whole.run()
    assert _employer_of(whole.college, "L1") == whole.id_of(Role.EMPLOYER, last)
    assert [body for _, body in whole.told if "DefaultEmployerID" in body] == [
        {"DefaultEmployerID": whole.id_of(Role.EMPLOYER, last)}
    ]


def test_known_learner_waits_for_no_refused_employer(whole: Whole) -> None:
    learner = whole.learner("L1", DefaultEmployerMISID=None)
    whole.run()
    whole.forget()
    whole.add(Role.EMPLOYER, "E1", PlacementMISID="P1", LastName="W" * 60)
    learner |= {"DefaultEmployerMISID": "E1", "LastName": "Married"}

    whole.run()
    whole.run()

    assert {"LastName": "Married"} in [body for _, body in whole.told]
    assert whole.college.warnings == {"L1": _LEFT_OUT}
    assert whole.college.held == {"E1": "refused"}
