"""Which request each step is: method, path and body."""

import pytest

from syncd.core.fields import Role
from syncd.core.plan import Assign, Create, Grant, Leaver, Rekey, Returner, Step, Update
from syncd.core.records import Key
from syncd.onefile import ApiRequest, PendingId, request_for

L1, E1, P1 = (
    Key(5740, role, misid) for role, misid in ((Role.LEARNER, "L1"), (Role.EMPLOYER, "E1"), (Role.PLACEMENT, "P1"))
)
IDS = {L1: 101, E1: 102, P1: 7}


@pytest.mark.parametrize(
    ("step", "request_"),
    [
        (
            Create(L1, "learners", {"LastName": "A"}, {"PlacementID": P1}),
            ApiRequest("POST", "/User", {"OrganisationID": 5740, "Role": 1, "LastName": "A", "PlacementID": 7}),
        ),
        (Create(P1, "places", {"Name": "A"}), ApiRequest("POST", "/Placement", {"OrganisationID": 5740, "Name": "A"})),
        (Update(L1, "learners", 9, {"ULN": None}), ApiRequest("POST", "/User/9", {"ULN": None})),
        (
            Update(L1, "learners", None, {}, {"DefaultEmployerID": E1}),
            ApiRequest("POST", "/User/101", {"DefaultEmployerID": 102}),
        ),
        (Update(P1, "places", 7, {"Name": "B"}), ApiRequest("POST", "/Placement/7", {"Name": "B"})),
        (Rekey(L1, L1._replace(misid="L2"), 9), ApiRequest("POST", "/User/9", {"MISID": "L2"})),
        (Grant(E1, "employers", 8, is_open=True), ApiRequest("POST", "/User/102/AssignPlacement/8/true")),
        (Grant(E1, "employers", P1, is_open=False), ApiRequest("POST", "/User/102/AssignPlacement/7/false")),
        (Assign(L1, E1, "a"), ApiRequest("POST", "/User/102/Assign", {"LearnerID": 101, "Level": 1})),
        (Returner(L1, 9, is_archived=True), ApiRequest("POST", "/User/9/Unarchive")),
        (Leaver(L1, 9, None, to_archive=True), ApiRequest("POST", "/User/9/Archive")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_step_is_one_request(step: Step, request_: ApiRequest) -> None:
    assert request_for(step, IDS) == request_


def test_the_learner_s_id_may_be_the_one_in_the_path_of_an_assign() -> None:
    request = request_for(Assign(L1, E1, "a"), IDS, learner_in_path=True)

    assert request == ApiRequest("POST", "/User/101/Assign", {"LearnerID": 102, "Level": 1})


def test_an_id_that_onefile_has_not_given_yet_has_a_phrase_in_its_place() -> None:
    pending = PendingId("{UserID of the Learner L1}")

    request = request_for(Assign(L1, E1, "a"), {**IDS, L1: pending}, learner_in_path=True)

    assert (request.path, request.fields) == (
        "/User/{UserID of the Learner L1}/Assign",
        {"LearnerID": 102, "Level": 1},
    )
