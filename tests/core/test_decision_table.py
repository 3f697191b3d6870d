"""The decision table of `syncd.core.plan`: each row of it, as a record and an account, and the step they lead to."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from syncd.core import plan as plan_module
from syncd.core.accounts import Status
from syncd.core.compare import Doubt, Rules
from syncd.core.fields import Referent, Role
from syncd.core.identity import Answer, StoredAnswer
from syncd.core.plan import Create, Plan, Update
from syncd.core.records import Code, Held, Key, Reason
from tests.support.records import NOW, SECRET, College, key, link, person, place, unfit

A1, L1 = key("A1"), key("L1", Role.LEARNER)
ANN = person("A1")
_ULN = "9276308686"


def _in_onefile(*user_ids: int) -> College:
    return College(in_onefile={A1: user_ids})


def _refused() -> College:
    college = College.of(ANN)
    married = person("A1", LastName="Married")
    fingerprint = married.fingerprint(SECRET)
    college.refused = {A1: Held(*A1, "feed", Reason.REFUSED, "", "OneFile said no", fingerprint=fingerprint)}
    return college


def _in_doubt() -> College:
    return College(in_doubt={A1: Doubt()})


def _resembling() -> College:
    return College.of(person("OLD", ULN=_ULN))


def _resembling_in_onefile() -> College:
    college = _resembling()
    college.in_onefile = {A1: (100,)}
    return college


def _on_another_account() -> College:
    college = College.of(person("B1"))
    college.in_onefile = {A1: (100,)}
    return college


def _rechecked() -> College:
    college = College.of(ANN)
    college.known[A1] = replace(college.known[A1], fingerprint="another")
    return college


def _left(status: Status = Status.LEAVER) -> College:
    college = College.of(ANN)
    college.has_left("A1", status)
    return college


def _long_gone() -> College:
    college = College.of(ANN)
    college.has_left("A1", left_at=NOW - timedelta(days=15))
    college.rules = Rules(NOW, archives_leavers=True)
    return college


def _lookalike() -> College:
    return College.of(person("a1"))


def _earlier_programme() -> College:
    return College.of(person("OLD", ULN=_ULN, StartOn="2023-09-01", PlannedEndDate="2025-07-31"))


def _likely() -> College:
    return College(likely_accounts={A1: (4711,)})


def _reused() -> College:
    return College.of(person("A1", DOB="1990-01-31", ULN="1000000078"))


def _answered(college: Callable[[], College], answer: StoredAnswer) -> Callable[[], College]:
    """The college after an operator has answered the question about A1."""

    def answered() -> College:
        made = college()
        made.answers = {A1: answer}
        return made

    return answered


def _about_owner(answer: Answer) -> StoredAnswer:
    return StoredAnswer(answer, OTHER.fingerprint(SECRET), user_id=100, reason=Reason.ANOTHER_PERSON)


_SAME_AS_LIKELY = StoredAnswer(Answer.SAME, user_id=4711, reason=Reason.HAS_AN_ACCOUNT)
OTHER = person("A1", FirstName="Ben", LastName="Obi", Email="ben@example.org", DOB="2001-12-01", ULN="9276308686")
MARRIED = person("A1", LastName="Married")

#: The name of the case, the college, the records of the feeds, and the steps about A1 in their order.
CASES: list[tuple[str, Callable[[], College], tuple[object, ...], list[str]]] = [
    ("invalid", College, (unfit("A1"),), ["Held missing"]),
    ("invalid, active", lambda: College.of(ANN), (unfit("A1"),), ["Held missing"]),
    ("two rows", College, (ANN, ANN), ["Held duplicate_key"]),
    ("refused before", _refused, (MARRIED,), ["Held refused"]),
    ("refused before, and changed", _refused, (person("A1", LastName="Other"),), ["Update"]),
    ("in doubt", _in_doubt, (ANN,), ["Held in_doubt"]),
    ("new", College, (ANN,), ["Create"]),
    ("resembles", _resembling, (person("A1", ULN=_ULN),), ["Held rekeyed?"]),
    (
        "resembles, answered same",
        _answered(_resembling, StoredAnswer(Answer.SAME, other="OLD")),
        (person("A1", ULN=_ULN),),
        ["Rekey"],
    ),
    (
        "resembles, answered new",
        _answered(_resembling, StoredAnswer(Answer.NEW, other="OLD")),
        (person("A1", ULN=_ULN),),
        ["Create"],
    ),
    ("lookalike", _lookalike, (ANN,), ["Held lookalike_key"]),
    ("lookalike, answered same", _answered(_lookalike, StoredAnswer(Answer.SAME, other="a1")), (ANN,), ["Rekey"]),
    ("lookalike, answered new", _answered(_lookalike, StoredAnswer(Answer.NEW, other="a1")), (ANN,), ["Create"]),
    (
        "lookalike of a current record, answered same",
        _answered(_lookalike, StoredAnswer(Answer.SAME, other="a1")),
        (person("a1"), ANN),
        ["Held lookalike_key"],
    ),
    (
        "next programme",
        _earlier_programme,
        (person("A1", ULN=_ULN, StartOn="2025-09-01"),),
        ["Create", "NextProgramme"],
    ),
    ("likely account", _likely, (ANN,), ["Held has_an_account?"]),
    ("likely account, answered same", _answered(_likely, _SAME_AS_LIKELY), (ANN,), ["Update link"]),
    (
        "likely account, answered new",
        _answered(_likely, StoredAnswer(Answer.NEW, user_id=4711)),
        (ANN,),
        ["Create"],
    ),
    ("account is lost, answered same", _answered(College, _SAME_AS_LIKELY), (ANN,), ["Held has_an_account?"]),
    ("another person", _reused, (OTHER,), ["Held another_person?"]),
    ("another person, answered same", _answered(_reused, _about_owner(Answer.SAME)), (OTHER,), ["Update"]),
    (
        "another person, answered new",
        _answered(_reused, _about_owner(Answer.NEW)),
        (OTHER,),
        ["Held another_person?", "Rekey release"],
    ),
    ("in OneFile", lambda: _in_onefile(4711), (ANN,), ["Update link"]),
    ("in OneFile, resembles its owner", _resembling_in_onefile, (person("A1", ULN=_ULN),), ["Rekey"]),
    ("in OneFile twice", lambda: _in_onefile(1, 2), (ANN,), ["Held ambiguous"]),
    ("in OneFile on a known account", _on_another_account, (ANN, person("B1")), ["Held ambiguous"]),
    ("same fingerprint", lambda: College.of(ANN), (ANN,), []),
    ("other fingerprint", _rechecked, (ANN,), ["Refresh"]),
    ("other values", lambda: College.of(ANN), (MARRIED,), ["Update"]),
    ("leaver is back", _left, (ANN,), ["Returner", "Refresh"]),
    ("leaver is back, changed", _left, (MARRIED,), ["Returner", "Update"]),
    ("archived is back", lambda: _left(Status.ARCHIVED), (MARRIED,), ["Returner unarchive", "Update"]),
    ("possibly archived is back", lambda: _left(Status.UNSURE), (ANN,), ["Returner unarchive", "Refresh"]),
    ("gone", lambda: College.of(ANN), (), ["Leaver"]),
    ("gone for long", _long_gone, (), ["Leaver archive"]),
    ("gone and archived", lambda: _left(Status.ARCHIVED), (), []),
]


def _steps(plan: Plan, key: Key) -> list[str]:
    """The steps about a key, each as its type and what tells it apart."""
    told = [f"Held {held.reason}" for held in plan.held if held.key == key]
    told += ["Returner unarchive" if each.is_archived else "Returner" for each in plan.returners if each.key == key]
    told += ["Rekey release" if each.is_release else "Rekey" for each in plan.rekeys if each.record_key == key]
    told += ["Create" for each in plan.creates if each.key == key]
    told += ["NextProgramme" for each in plan.next_programmes if each.key == key]
    told += ["Update link" if each.is_link else "Update" for each in plan.updates if each.key == key]
    told += ["Refresh" for each in plan.refreshes if each.key == key]
    told += ["Grant" for each in plan.grants if each.key == key]
    told += ["Assign" for each in plan.assigns if each.learner == key]
    told += ["Leaver archive" if each.to_archive else "Leaver" for each in plan.leavers if each.key == key]
    return told


@pytest.mark.parametrize(("college", "rows", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_record_and_an_account_lead_to_the_steps_of_the_table(
    college: Callable[[], College], rows: tuple[object, ...], expected: list[str]
) -> None:
    # The row of the account it resembles, if there is one, is what is gone.
    assert _steps(college().plan(*rows), A1) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "referent", "expected"),
    [
        ("ClassroomID", Referent.CLASSROOM, ["Held reference_not_found"]),
        ("DefaultEmployerID", Referent.EMPLOYER, ["Create"]),
    ],
)
def test_an_unresolved_code_leads_to_the_steps_of_the_table(
    field: str, referent: Referent, expected: list[str]
) -> None:
    learner = person("L1", Role.LEARNER, codes={field: Code(referent, "MISID", "nowhere")})

    assert _steps(College().plan(learner), L1) == expected


def test_employer_is_granted_access_and_default_follows_the_assignment() -> None:
    employer = person("E1", Role.EMPLOYER, PlacementID=7, GrantAccess=True)
    learner = person("L1", Role.LEARNER, codes={"DefaultEmployerID": Code(Referent.EMPLOYER, "MISID", "E1")})

    plan = College().plan(employer, learner, links=[link("L1", "E1")])

    assert _steps(plan, employer.key) == ["Create", "Grant"]
    assert _steps(plan, L1) == ["Create", "Update", "Assign"]
    assert [type(step).__name__ for step in plan.steps()] == ["Create", "Grant", "Create", "Assign", "Update"]


def test_the_table_names_every_type_of_step() -> None:
    table = plan_module.__doc__ or ""
    assert [name for name in (*_TYPES, "Held") if f"`{name}`" not in table] == []


_TYPES = ("NextProgramme", "Create", "Update", "Grant", "Assign", "Rekey", "Refresh", "Returner", "Leaver")


def test_steps_come_in_the_order_in_which_records_refer_to_each_other() -> None:
    code = {"PlacementID": Code(Referent.PLACEMENT, "MISID", "P1")}
    college = College.of(person("L2", Role.LEARNER), person("A2"))
    college.has_left("A2", Status.ARCHIVED)

    plan = college.plan(
        place("P1", "The Mill"),
        person("A2"),
        person("A1"),
        person("E1", Role.EMPLOYER, codes=code, GrantAccess=True),
        person("L2", Role.LEARNER, LastName="Married"),
        person("L1", Role.LEARNER, codes=code),
    )

    steps = list(plan.steps())
    assert [type(step).__name__ for step in steps] == [
        "Returner",
        "Create",
        "Create",
        "Create",
        "Grant",
        "Create",
        "Update",
    ]
    assert len(steps) == plan.calls
    roles = [step.key.role for step in steps if isinstance(step, Create | Update)]
    assert roles == [Role.PLACEMENT, Role.ASSESSOR, Role.EMPLOYER, Role.LEARNER, Role.LEARNER]
