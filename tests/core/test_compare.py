"""What a run does for one person: create, update, link, hold, or nothing."""

from dataclasses import replace

import pytest

from syncd.core.accounts import Known, Status
from syncd.core.compare import Clear, Doubt, Rules
from syncd.core.fields import Role
from syncd.core.plan import Create, Plan, Update
from syncd.core.records import Held, Reason
from syncd.core.values import Sent
from tests.support.records import NOW, SECRET, College, key, person, unfit


def test_person_missing_in_onefile_is_created_with_all_record_fields() -> None:
    ann = person("A1", Telephone="0113 496 0000")

    plan = College().plan(ann)

    assert plan == Plan(creates=(Create(ann.key, "Assessor feed", ann.fields, {}, ann.fingerprint(SECRET)),))


def test_unchanged_record_needs_no_call_and_no_stored_values() -> None:
    ann = person("A1")
    college = College.of(ann)
    college.values.clear()

    assert college.plan(person("A1")) == Plan(unchanged=1)


def test_an_update_carries_only_the_fields_that_changed() -> None:
    college = College.of(person("A1", Telephone="0113 496 0000", Website="https://example.org"))
    changed = person("A1", LastName="Married", Telephone="0113 496 0001", Website="https://example.org")

    plan = college.plan(changed)

    fields: dict[str, Sent] = {"LastName": "Married", "Telephone": "0113 496 0001"}
    assert plan == Plan(updates=(Update(key("A1"), "Assessor feed", 100, fields, {}, changed.fingerprint(SECRET)),))


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
def test_a_yes_that_becomes_a_no_is_an_update(before: bool, after: bool) -> None:
    college = College.of(person("A1", SupportFunding=before))

    assert [update.fields for update in college.plan(person("A1", SupportFunding=after)).updates] == [
        {"SupportFunding": after}
    ]


def test_new_fingerprint_of_equal_values_is_refreshed_without_a_call() -> None:
    """As after a change of the secret, or of the columns."""
    college = College.of(person("A1"))
    college.known[key("A1")] = Known(100, Status.ACTIVE, "another fingerprint")

    plan = college.plan(person("A1"))

    assert (plan.creates, plan.updates, plan.calls, plan.unchanged) == ((), (), 0, 1)
    assert [(note.key, note.fingerprint) for note in plan.refreshes] == [(key("A1"), person("A1").fingerprint(SECRET))]


def test_account_marked_for_recheck_is_compared_despite_same_fingerprint() -> None:
    college = College.of(person("A1"))
    college.known[key("A1")] = replace(college.known[key("A1")], needs_recheck=True)

    plan = college.plan(person("A1"))

    assert [(each.key, each.needs_recheck) for each in plan.refreshes] == [(key("A1"), False)]
    college.carry_out(plan)
    assert college.plan(person("A1")) == Plan(unchanged=1)


def test_one_misid_in_two_roles_is_two_accounts() -> None:
    college = College.of(person("A1", Role.ASSESSOR))

    plan = college.plan(person("A1", Role.ASSESSOR), person("A1", Role.IQA))

    assert plan.unchanged == 1
    assert [create.key for create in plan.creates] == [key("A1", Role.IQA)]


def test_account_found_under_the_misid_is_linked_instead_of_created() -> None:
    ann = person("A1")
    college = College(in_onefile={ann.key: (4711,)})

    plan = college.plan(ann)

    fields: dict[str, Sent] = {**ann.fields}
    link = Update(ann.key, "Assessor feed", 4711, fields, {}, ann.fingerprint(SECRET), is_link=True)
    assert plan == Plan(updates=(link,))


def test_a_misid_that_onefile_has_twice_is_held_for_a_person_to_settle() -> None:
    college = College(in_onefile={key("A1"): (4711, 4712)})

    plan = college.plan(person("A1"))

    [held] = plan.held
    assert (held.misid, held.reason, held.field) == ("A1", Reason.AMBIGUOUS, "MISID")
    assert held.detail == "OneFile has it on several accounts: UserIDs 4711, 4712"
    assert held.row == 0
    assert plan.calls == 0


def test_nothing_is_created_while_an_earlier_create_is_in_doubt() -> None:
    college = College(in_doubt={key("A1"): Doubt()})

    plan = college.plan(person("A1"), person("A2"))

    assert [create.key for create in plan.creates] == [key("A2")]
    assert [(held.misid, held.reason) for held in plan.held] == [("A1", Reason.IN_DOUBT)]


def test_create_in_doubt_that_needs_a_person_is_held_with_the_reason() -> None:
    college = College(in_doubt={key("A1"): Doubt("OneFile has two accounts with it", Reason.AMBIGUOUS)})

    [held] = college.plan(person("A1")).held

    assert (held.reason, held.detail) == (Reason.AMBIGUOUS, "OneFile has two accounts with it")


def test_record_is_held_while_the_userid_of_its_account_is_in_doubt() -> None:
    college = College.of(person("A1"))
    college.known[key("A1")] = Known(None, Status.ACTIVE, person("A1").fingerprint(SECRET))

    assert [held.reason for held in college.plan(person("A1")).held] == [Reason.IN_DOUBT]
    assert [held.reason for held in college.plan(person("A1", LastName="Married")).held] == [Reason.IN_DOUBT]


def test_what_onefile_refused_is_held_again_until_the_record_changes() -> None:
    ann = person("A1")
    refusal = Held(*ann.key, ann.feed, Reason.REFUSED, "Email", "OneFile said no", fingerprint=ann.fingerprint(SECRET))
    college = College(refused={ann.key: refusal})

    assert college.plan(person("A1")) == Plan(held=(refusal,))
    assert [create.key for create in college.plan(person("A1", Email="ann@example.com")).creates] == [ann.key]


def test_a_row_that_is_unfit_is_held_and_the_others_are_sent() -> None:
    plan = College().plan(unfit("A1"), person("A2"), unfit(""), unfit(""))

    assert plan.held == (unfit("A1"), unfit(""), unfit(""))
    assert [create.key for create in plan.creates] == [key("A2")]


def test_a_warning_is_raised_in_every_run_for_as_long_as_it_is_true() -> None:
    ann = person("A1", unusable=["DOB"])
    college = College.of(ann)

    assert College().plan(ann).warnings == college.plan(ann).warnings == ann.warnings


@pytest.mark.parametrize(("clear", "sent"), [(Clear.EMPTY, ""), (Clear.NULL, None)])
def test_emptied_value_is_cleared_once_if_the_operator_sets_how(clear: Clear, sent: Sent) -> None:
    college = College.of(person("A1", Telephone="0113 496 0000"), rules=Rules(NOW, clear=clear))

    plan = college.plan(person("A1"))
    college.carry_out(plan)

    assert [update.fields for update in plan.updates] == [{"Telephone": sent}]
    assert plan.warnings == ()
    assert college.plan(person("A1")) == Plan(unchanged=1)


def test_emptied_value_is_kept_by_default_with_a_warning_in_every_run() -> None:
    college = College.of(person("A1", Telephone="0113 496 0000", Website="https://example.org"))

    for _ in range(3):
        plan = college.plan(person("A1"))
        college.carry_out(plan)

        assert (plan.calls, plan.unchanged) == (0, 1)
        assert [(warned.field, warned.reason) for warned in plan.warnings] == [
            ("Telephone", Reason.CLEARED),
            ("Website", Reason.CLEARED),
        ]
    filled_again = person("A1", Telephone="0113 496 0000", Website="https://example.org")
    assert college.plan(filled_again).warnings == ()


def test_update_sends_the_changed_value_and_warns_of_the_kept_one() -> None:
    college = College.of(person("A1", Telephone="0113 496 0000"))

    plan = college.plan(person("A1", LastName="Married"))

    assert [update.fields for update in plan.updates] == [{"LastName": "Married"}]
    assert [warned.field for warned in plan.warnings] == ["Telephone"]


@pytest.mark.parametrize("clear", Clear)
def test_a_field_that_the_feed_has_no_column_for_is_never_cleared(clear: Clear) -> None:
    college = College.of(person("A1", Telephone="0113 496 0000"), rules=Rules(NOW, clear=clear))
    ann = person("A1")
    narrower = type(ann)(ann.key, ann.feed, ann.fields, ann.codes, ann.supplied - {"Telephone"})

    plan = college.plan(narrower)

    assert (plan.updates, plan.warnings) == ((), ())


@pytest.mark.parametrize("clear", Clear)
def test_an_unusable_value_is_never_cleared(clear: Clear) -> None:
    college = College.of(person("A1", DOB="2004-02-29T00:00:00.000Z"), rules=Rules(NOW, clear=clear))
    ann = person("A1", unusable=["DOB"])

    plan = college.plan(ann)

    assert (plan.updates, plan.warnings) == ((), ann.warnings)


@pytest.mark.parametrize("clear", Clear)
def test_unusable_value_that_becomes_empty_follows_the_clearing_rule(clear: Clear) -> None:
    college = College.of(person("A1", DOB="2004-02-29T00:00:00.000Z"), rules=Rules(NOW, clear=clear))
    college.carry_out(college.plan(person("A1", unusable=["DOB"])))

    plan = college.plan(person("A1"))

    cleared = [name for update in plan.updates for name in update.fields]
    kept = [warned.field for warned in plan.warnings]
    assert (cleared, kept) == (([], ["DOB"]) if clear is Clear.KEEP else (["DOB"], []))
