"""Is this plan allowed to run? A mass mistake is stopped before its first call."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.fields import Role
from syncd.core.guard import ChangeKind, Counts, FeedSize, Limits, Usage, Window, guard
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Refresh, Rekey, Returner, Update
from syncd.core.run import Action
from syncd.core.values import Sent
from tests.support.records import NOW, key, unfit

FULL = (FeedSize("learners", 1000, 1000),)
#: What no plan of these tests exceeds.
ROOMY = Limits(percent=100, percent_day=1000, percent_week=1000, field_percent=100)

amounts = st.integers(0, 60)
counts = st.builds(Counts, amounts, amounts, amounts, amounts)
percentages = st.integers(0, 400).map(lambda quarters: quarters / 4)
limits = st.builds(
    Limits,
    percentages,
    st.integers(0, 60),
    percent_day=percentages,
    percent_week=percentages,
    field_percent=st.just(100),
)
full_feeds = st.lists(st.builds(lambda rows: FeedSize("learners", rows, rows * 2), st.integers(1, 1000)), max_size=3)


def plan(
    creates: int = 0, updates: int = 0, leavers: int = 0, archivings: int = 0, returners: int = 0, old_leavers: int = 0
) -> Plan:
    """A plan of so many changes."""
    return Plan(
        creates=tuple(Create(key(f"C{number}"), "learners", {}) for number in range(creates)),
        updates=tuple(Update(key(f"U{number}"), "learners", number, {}) for number in range(updates)),
        returners=tuple(Returner(key(f"R{number}"), number, is_archived=False) for number in range(returners)),
        leavers=(
            *(Leaver(key(f"L{number}"), number, None, to_archive=False) for number in range(leavers)),
            *(Leaver(key(f"A{number}"), number, NOW, to_archive=True) for number in range(archivings)),
            *(Leaver(key(f"O{number}"), number, NOW, to_archive=False) for number in range(old_leavers)),
        ),
    )


def college(accounts: int, *, day: Counts | None = None, week: Counts | None = None, has_created: bool = True) -> Usage:
    """A college that has sent so much without approval; the week's is at least the day's."""
    return Usage(accounts, accounts, day or Counts(), week or day or Counts(), has_created)


def giving(
    field: str, *values: Sent, user_id: int | None = 1, is_link: bool = False, role: Role = Role.LEARNER
) -> Plan:
    """A plan that gives one person after the other one of these values."""
    return Plan(
        updates=tuple(
            Update(key(f"U{number}", role), "learners", user_id, {field: value}, is_link=is_link)
            for number, value in enumerate(values)
        )
    )


# How much is allowed


@pytest.mark.parametrize(
    ("accounts", "allowed"),
    [(0, 0), (3, 0), (4, 1), (60, 15), (199, 49), (200, 50), (509, 50), (510, 51), (1000, 100), (60_000, 6000)],
)
def test_run_may_change_a_tenth_or_fifty_up_to_a_quarter(accounts: int, allowed: int) -> None:
    assert Limits().allowed(accounts) == allowed


@pytest.mark.parametrize(
    ("accounts", "day", "week"), [(0, 0, 0), (60, 15, 15), (200, 50, 50), (400, 60, 100), (1000, 150, 250)]
)
def test_day_may_change_15_and_week_25_percent_or_the_floor(accounts: int, day: int, week: int) -> None:
    assert (Limits().allowed(accounts, Window.DAY), Limits().allowed(accounts, Window.WEEK)) == (day, week)


@given(st.integers(0, 100_000), st.integers(0, 100_000), st.sampled_from(Window))
def test_floor_never_allows_more_than_a_quarter(accounts: int, floor: int, window: Window) -> None:
    assert Limits(floor=floor).allowed(accounts, window) * 4 <= accounts


def test_nothing_is_allowed_where_the_operator_says_nothing() -> None:
    none = Limits(percent=0, floor=0, percent_day=0, percent_week=0)

    assert [none.allowed(60_000, window) for window in Window] == [0, 0, 0]


def test_everything_is_allowed_where_the_operator_says_all_of_them() -> None:
    assert Limits(percent=100, floor=0).allowed(60_000) == 60_000


def test_a_plan_that_changes_nothing_may_run() -> None:
    held = Plan(held=(unfit("A1"),) * 100, refreshes=(Refresh(key("A1"), "learners", ""),) * 100, unchanged=1000)
    none = Limits(percent=0, floor=0, percent_day=0, percent_week=0)
    used = Counts(900, 900, 900, 900)

    assert guard(held, none, college(1000, day=used, has_created=False), FULL) == ()


# One run


@pytest.mark.parametrize("kind", ChangeKind)
def test_each_kind_of_change_is_counted_on_its_own(kind: ChangeKind) -> None:
    limits = Limits(percent=0, floor=5)
    most = dict.fromkeys(ChangeKind, 5)

    assert guard(plan(**most), limits, college(100), FULL) == ()
    objections = guard(plan(**(most | {kind: 6})), limits, college(100), FULL)
    assert objections == (f"6 {kind} where 5 are allowed in one run without approval",)


def test_first_run_that_creates_is_stopped_however_small() -> None:
    objections = guard(plan(creates=1), ROOMY, college(1000, has_created=False), FULL)

    assert objections == ("it is the first run to create accounts in this organisation (1 create)",)


def test_first_run_that_creates_nobody_is_not_stopped_for_that() -> None:
    assert guard(plan(updates=5), Limits(), college(1000, has_created=False), FULL) == ()


def test_a_returner_a_rekey_a_grant_and_an_assignment_count_as_updates() -> None:
    whole = replace(
        plan(updates=2, returners=3),
        rekeys=(Rekey(key("OLD"), key("NEW"), 7),) * 4,
        grants=(Grant(key("E1"), "employers", 7, is_open=True),) * 5,
        assigns=(Assign(key("L1"), key("E1"), "assignments"),) * 6,
    )

    assert Counts.from_plan(whole) == Counts(updates=20)


def test_leaver_counts_when_first_missed_and_as_archiving_when_due() -> None:
    assert Counts.from_plan(plan(leavers=2, archivings=3, old_leavers=4)) == Counts(leavers=2, archivings=3)


def test_leaver_without_days_of_grace_counts_as_both() -> None:
    gone = Plan(leavers=(Leaver(key("L1"), 1, None, to_archive=True),))

    assert Counts.from_plan(gone) == Counts(leavers=1, archivings=1)


@pytest.mark.parametrize("action", Action)
def test_every_change_that_is_sent_has_a_kind(action: Action) -> None:
    kinds = {Action.CREATE: ChangeKind.CREATES, Action.ARCHIVE: ChangeKind.ARCHIVINGS}

    assert ChangeKind.of(action) is kinds.get(action, ChangeKind.UPDATES)


def test_small_college_cannot_lose_half_of_its_people_by_the_floor() -> None:
    objections = guard(plan(leavers=29, archivings=29), Limits(), college(60), [FeedSize("learners", 31, 60, gone=29)])

    assert objections == (
        "29 leavers where 15 are allowed in one run without approval",
        "29 archivings where 15 are allowed in one run without approval",
    )


# A day and a week


@pytest.mark.parametrize("kind", ChangeKind)
def test_changes_of_24_hours_are_counted_together(kind: ChangeKind) -> None:
    used = Counts.by_kind({kind: 100})

    assert guard(plan(**{kind: 50}), Limits(), college(1000, day=used), FULL) == ()
    assert guard(plan(**{kind: 51}), Limits(), college(1000, day=used), FULL) == (
        f"51 {kind} where 150 are allowed in 24 hours without approval, of which 100 are used",
    )


@pytest.mark.parametrize("kind", ChangeKind)
def test_changes_of_7_days_are_counted_together(kind: ChangeKind) -> None:
    used = Counts.by_kind({kind: 249})

    assert guard(plan(**{kind: 1}), Limits(), college(1000, week=used), FULL) == ()
    objections = guard(plan(**{kind: 2}), Limits(), college(1000, week=used), FULL)
    assert objections == (f"2 {kind} where 250 are allowed in 7 days without approval, of which 249 are used",)


@pytest.mark.parametrize("kind", ChangeKind)
def test_one_kind_uses_nothing_of_another(kind: ChangeKind) -> None:
    used = Counts.by_kind(dict.fromkeys(set(ChangeKind) - {kind}, 1000))

    assert guard(plan(**{kind: 100}), Limits(), college(1000, day=used), FULL) == ()


def test_used_up_limit_stops_no_run_without_such_changes() -> None:
    used = Counts(creates=9999, leavers=9999)

    assert guard(plan(updates=1), Limits(), college(1000, day=used), FULL) == ()


# One field, one value


@pytest.mark.parametrize(
    ("people", "count", "is_stopped"), [(1000, 200, False), (1000, 201, True), (20, 5, False), (20, 6, True)]
)
def test_field_that_changes_for_too_many_people_is_stopped(people: int, count: int, is_stopped: bool) -> None:
    limits = replace(ROOMY, field_percent=20)
    objections = guard(giving("HomeAddress", *map(str, range(count))), limits, college(people), FULL)

    allowed = max(5, people // 5)
    sentence = f"HomeAddress changes for {count:,} of {people:,} people where {allowed:,} are allowed in one run"
    assert objections == ((sentence,) if is_stopped else ())


def test_several_fields_that_change_for_some_people_each_are_allowed() -> None:
    limits = replace(ROOMY, field_percent=20)
    both = [giving(field, *map(str, range(200))).updates for field in ("HomeAddress", "Telephone")]

    assert guard(Plan(updates=(*both[0], *both[1])), limits, college(1000), FULL) == ()


@pytest.mark.parametrize("field", ["Email", "ULN", "NINO"])
@pytest.mark.parametrize(("count", "is_stopped"), [(5, False), (6, True)])
def test_value_of_one_person_given_to_many_is_stopped(field: str, count: int, is_stopped: bool) -> None:
    updates = giving(field, *["the same"] * count, *map(str, range(20)))
    creates = Plan(
        creates=tuple(
            Create(each.key, "learners", {field: "the same" if number < count else str(number)})
            for number, each in enumerate(updates.updates)
        )
    )
    sentence = f"{field} would be the same for {count} people where 5 are allowed"

    for some in (updates, creates, giving(field, *["the same"] * count, is_link=True)):
        objections = guard(some, ROOMY, college(1000), FULL)
        assert objections == ((sentence,) if is_stopped else ())


def test_value_of_one_person_is_counted_over_creates_and_updates() -> None:
    some = replace(
        giving("Email", *["a@b.example"] * 3), creates=(Create(key("C"), "learners", {"Email": "a@b.example"}),) * 3
    )

    assert guard(some, ROOMY, college(1000), FULL) == ("Email would be the same for 6 people where 5 are allowed",)


@pytest.mark.parametrize(("count", "is_stopped"), [(100, False), (101, True)])
def test_class_given_to_over_a_tenth_of_the_people_is_stopped(count: int, is_stopped: bool) -> None:
    limits = Limits(percent=10, floor=0, percent_day=1000, percent_week=1000)
    wide = guard(giving("ClassroomID", *[15379] * count), replace(limits, percent=10), college(1000), FULL)

    said = [each for each in wide if "one value" in each]
    sentence = f"ClassroomID changes to one value for {count} of 1,000 people where 100 are allowed"
    assert said == ([sentence] if is_stopped else [])


def test_floor_does_not_count_for_one_value() -> None:
    moved = giving("ClassroomID", *[15379] * 21)

    assert guard(moved, Limits(), college(200), FULL) == (
        "ClassroomID changes to one value for 21 of 200 people where 20 are allowed",
    )
    assert guard(giving("ClassroomID", *range(21)), Limits(), college(200), FULL) == ()


def test_new_accounts_may_share_a_class_and_an_assessor() -> None:
    intake = Plan(
        creates=tuple(
            Create(key(f"C{number}"), "learners", {"ClassroomID": 1}, {"DefaultAssessorID": key("A1")})
            for number in range(90)
        )
    )

    assert guard(intake, Limits(), college(1000), FULL) == ()


@pytest.mark.parametrize(
    "some",
    [
        giving("ClassroomID", *[1] * 90, is_link=True),
        giving("ClassroomID", *[1] * 90, user_id=None),
        giving("Email", *["office@firm.example"] * 90, role=Role.PLACEMENT),
    ],
    ids=["links", "the rest of a new record", "places"],
)
def test_what_replaces_no_value_of_a_person_is_no_field_change(some: Plan) -> None:
    assert guard(some, Limits(percent=100, percent_day=100, percent_week=100), college(100), FULL) == ()


def test_emptied_value_counts_as_a_change_to_one_value() -> None:
    assert guard(giving("Email", *[""] * 6), ROOMY, college(1000), FULL) == ()
    limits = replace(ROOMY, field_percent=20)
    assert list(guard(giving("Email", *[None] * 201), limits, college(1000), FULL)) == [
        "Email changes for 201 of 1,000 people where 200 are allowed in one run",
        "Email changes to one value for 201 of 1,000 people where 200 are allowed",
    ]


def test_one_value_is_found_among_twenty_thousand() -> None:
    values = [f"{number}@college.example" for number in range(20_000)]

    assert guard(giving("Email", *values), ROOMY, college(20_000), FULL) == ()
    [reason] = guard(giving("Email", *values, *values[:1] * 5), ROOMY, college(20_005), FULL)
    assert reason == "Email would be the same for 6 people where 5 are allowed"


# Feeds


def test_a_feed_that_yields_no_rows_is_stopped_even_if_it_never_had_any() -> None:
    assert guard(Plan(), Limits(), college(1000), [FeedSize("learners", 0, 0)]) == ("feed learners returned no rows",)


@pytest.mark.parametrize(("rows", "is_stopped"), [(499, True), (500, False), (1000, False), (2000, False)])
def test_a_feed_under_half_of_the_accounts_it_had_is_stopped(rows: int, is_stopped: bool) -> None:
    reasons = guard(Plan(), ROOMY, college(1000), [FeedSize("learners", rows, 1000)])

    assert reasons == ((f"feed learners returned {rows} rows where it had 1,000 accounts",) if is_stopped else ())


def test_feed_with_only_other_organisations_stops_if_it_had_accounts() -> None:
    lost, never_ours = FeedSize("learners", 0, 1, elsewhere=900), FeedSize("learners", 0, 0, elsewhere=900)

    assert guard(Plan(), Limits(), college(1000), [lost]) == ("feed learners returned no rows",)
    assert guard(Plan(), Limits(), college(1000), [never_ours]) == ()


def test_rows_of_other_organisations_make_up_for_none_of_the_own() -> None:
    assert guard(Plan(), Limits(), college(1000), [FeedSize("learners", 499, 1000, elsewhere=900)]) != ()


@pytest.mark.parametrize(("gone", "is_stopped"), [(0, False), (500, False), (501, True), (1000, True)])
def test_a_full_feed_that_has_lost_over_half_of_its_people_is_stopped(gone: int, is_stopped: bool) -> None:
    reasons = guard(Plan(), ROOMY, college(1000), [FeedSize("learners", 1000, 1000, gone=gone)])

    assert reasons == ((f"feed learners no longer has {gone:,} of the 1,000 people it had",) if is_stopped else ())


def test_every_reason_is_given_in_one_go() -> None:
    feeds = [FeedSize("staff", 10, 10), FeedSize("employers", 0, 40), FeedSize("learners", 3, 700)]

    assert guard(plan(creates=80, leavers=75), Limits(), college(750), feeds) == (
        "80 creates where 75 are allowed in one run without approval",
        "feed employers returned no rows",
        "feed learners returned 3 rows where it had 700 accounts",
    )


@given(counts, limits, st.integers(0, 1000), counts, counts, full_feeds)
def test_plan_with_full_feeds_is_stopped_exactly_beyond_the_limits(
    counts: Counts, limits: Limits, accounts: int, day: Counts, earlier: Counts, feeds: list[FeedSize]
) -> None:
    week = Counts(*(day.of(kind) + earlier.of(kind) for kind in ChangeKind))
    floor = min(limits.floor, accounts // 4)

    def is_within(used: int, percent: float) -> bool:
        return used <= floor or used * 100 <= accounts * percent

    beyond = [
        kind
        for kind in ChangeKind
        if (count := counts.of(kind))
        and not (
            is_within(count, limits.percent)
            and is_within(count + day.of(kind), limits.percent_day)
            and is_within(count + week.of(kind), limits.percent_week)
        )
    ]

    objections = guard(
        plan(counts.creates, counts.updates, counts.leavers, counts.archivings),
        limits,
        college(accounts, day=day, week=week),
        feeds,
    )

    assert len(objections) == len(beyond)
    assert all(kind.noun in objection for kind, objection in zip(beyond, objections, strict=True))


@given(counts, full_feeds, st.integers(1, 1000), st.data())
def test_no_limits_let_a_shrunken_feed_through(
    counts: Counts, feeds: list[FeedSize], accounts: int, data: st.DataObject
) -> None:
    shrunken = FeedSize("staff", data.draw(st.integers(0, (accounts - 1) // 2)), accounts)

    objections = guard(
        plan(counts.creates, counts.updates, counts.leavers, counts.archivings),
        ROOMY,
        college(1000),
        [*feeds, shrunken],
    )

    [reason] = objections
    assert reason.startswith("feed staff returned ")


# Plans


def test_plan_gives_the_number_of_its_calls() -> None:
    back = (Returner(key("R1"), 1, is_archived=True), Returner(key("R2"), 2, is_archived=False))
    moved = (Rekey(key("OLD"), key("NEW"), 7),) * 2
    whole = replace(
        plan(creates=3, updates=4, leavers=5, archivings=6),
        returners=back,
        rekeys=moved,
        grants=(Grant(key("E1"), "employers", 7, is_open=True),) * 8,
        assigns=(Assign(key("L1"), key("E1"), "assignments"),) * 9,
        unchanged=7,
    )

    assert whole.calls == 3 + 4 + 1 + 2 + 6 + 8 + 9


@pytest.mark.parametrize(("creates", "seconds"), [(0, 0), (1, 1), (4, 1), (5, 2), (49, 10), (50, 11)])
def test_plan_gives_the_duration_of_its_calls_rounded_up(creates: int, seconds: int) -> None:
    assert plan(creates=creates).seconds(4.9) == seconds


def test_new_leavers_are_those_that_no_earlier_run_has_seen_go() -> None:
    new = Leaver(key("L1"), 1, None, to_archive=False)
    old = Leaver(key("L2"), 2, NOW - timedelta(days=1), to_archive=False)

    assert Plan(leavers=(old, new)).new_leavers == (new,)
