"""Is this plan allowed to run? A mass mistake is stopped before its first call."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.guard import Counts, FeedSize, Limits, guard, required_approval
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Refresh, Rekey, Returner, Update
from tests.support.records import NOW, key, unfit

FULL = (FeedSize("learners", 1000, 1000),)

amounts = st.integers(0, 60)
counts = st.builds(Counts, amounts, amounts, amounts)
limits = st.builds(Limits, st.integers(0, 400).map(lambda quarters: quarters / 4), st.integers(0, 60))
full_feeds = st.lists(st.builds(lambda rows: FeedSize("learners", rows, rows * 2), st.integers(1, 1000)), max_size=3)


def plan(creates: int = 0, updates: int = 0, leavers: int = 0, returners: int = 0, old_leavers: int = 0) -> Plan:
    """A plan of so many changes."""
    return Plan(
        creates=tuple(Create(key(f"C{number}"), "learners", {}) for number in range(creates)),
        updates=tuple(Update(key(f"U{number}"), "learners", number, {}) for number in range(updates)),
        returners=tuple(Returner(key(f"R{number}"), number, is_archived=False) for number in range(returners)),
        leavers=(
            *(Leaver(key(f"L{number}"), number, None, to_archive=False) for number in range(leavers)),
            *(Leaver(key(f"O{number}"), number, NOW, to_archive=True) for number in range(old_leavers)),
        ),
    )


@pytest.mark.parametrize(
    ("accounts", "allowed"),
    [(0, 50), (499, 50), (500, 50), (509, 50), (510, 51), (1000, 100), (60_000, 6000)],
)
def test_a_tenth_of_the_accounts_is_allowed_and_fifty_in_any_case(accounts: int, allowed: int) -> None:
    assert Limits().allowed(accounts) == allowed


def test_nothing_is_allowed_where_the_operator_says_nothing() -> None:
    assert Limits(percent=0, floor=0).allowed(60_000) == 0


def test_everything_is_allowed_where_the_operator_says_all_of_them() -> None:
    assert Limits(percent=100, floor=0).allowed(60_000) == 60_000


def test_a_plan_that_changes_nothing_may_run() -> None:
    held = Plan(held=(unfit("A1"),) * 100, refreshes=(Refresh(key("A1"), "learners", ""),) * 100, unchanged=1000)

    assert guard(held, Limits(percent=0, floor=0), 1000, FULL) == ()


@pytest.mark.parametrize("what", ["creates", "updates", "leavers"])
def test_each_kind_of_change_is_counted_on_its_own(what: str) -> None:
    limits = Limits(percent=0, floor=5)

    assert guard(plan(creates=5, updates=5, leavers=5), limits, 0, FULL) == ()
    assert guard(plan(**{"creates": 5, "updates": 5, "leavers": 5, what: 6}), limits, 0, FULL) == (
        f"6 {what} where 5 are allowed",
    )


def test_a_first_run_of_a_college_is_stopped() -> None:
    assert guard(plan(creates=900), Limits(), 0, [FeedSize("learners", 900, 0)]) == (
        "900 creates where 50 are allowed",
    )


def test_a_returner_a_rekey_a_grant_and_an_assignment_count_as_updates() -> None:
    whole = replace(
        plan(updates=2, returners=3),
        rekeys=(Rekey(key("OLD"), key("NEW"), 7),) * 4,
        grants=(Grant(key("E1"), "employers", 7, is_open=True),) * 5,
        assigns=(Assign(key("L1"), key("E1"), "assignments"),) * 6,
    )

    assert Counts.from_plan(whole) == Counts(updates=20)


def test_leaver_counts_in_the_run_that_first_misses_it_not_when_archived() -> None:
    assert Counts.from_plan(plan(leavers=2, old_leavers=3)) == Counts(leavers=2)


def test_a_feed_that_yields_no_rows_is_stopped_even_if_it_never_had_any() -> None:
    assert guard(Plan(), Limits(), 1000, [FeedSize("learners", 0, 0)]) == ("feed learners returned no rows",)


@pytest.mark.parametrize(("rows", "is_stopped"), [(499, True), (500, False), (1000, False), (2000, False)])
def test_a_feed_under_half_of_the_accounts_it_had_is_stopped(rows: int, is_stopped: bool) -> None:
    reasons = guard(Plan(), Limits(percent=100), 1000, [FeedSize("learners", rows, 1000)])

    assert reasons == ((f"feed learners returned {rows} rows where it had 1000 accounts",) if is_stopped else ())


def test_feed_with_only_other_organisations_stops_if_it_had_accounts() -> None:
    lost, never_ours = FeedSize("learners", 0, 1, elsewhere=900), FeedSize("learners", 0, 0, elsewhere=900)

    assert guard(Plan(), Limits(), 1000, [lost]) == ("feed learners returned no rows",)
    assert guard(Plan(), Limits(), 1000, [never_ours]) == ()


def test_rows_of_other_organisations_make_up_for_none_of_the_own() -> None:
    assert guard(Plan(), Limits(), 1000, [FeedSize("learners", 499, 1000, elsewhere=900)]) != ()


@pytest.mark.parametrize(("gone", "is_stopped"), [(0, False), (500, False), (501, True), (1000, True)])
def test_a_full_feed_that_has_lost_over_half_of_its_people_is_stopped(gone: int, is_stopped: bool) -> None:
    reasons = guard(Plan(), Limits(percent=100), 1000, [FeedSize("learners", 1000, 1000, gone=gone)])

    assert reasons == ((f"feed learners no longer has {gone} of the 1000 people it had",) if is_stopped else ())


def test_every_reason_is_given_in_one_go() -> None:
    feeds = [FeedSize("staff", 10, 10), FeedSize("employers", 0, 40), FeedSize("learners", 3, 700)]

    assert guard(plan(creates=80, leavers=75), Limits(), 750, feeds) == (
        "80 creates where 75 are allowed",
        "feed employers returned no rows",
        "feed learners returned 3 rows where it had 700 accounts",
    )


@given(counts, limits, st.integers(0, 1000), full_feeds)
def test_plan_with_full_feeds_is_stopped_exactly_beyond_the_limits(
    counts: Counts, limits: Limits, accounts: int, feeds: list[FeedSize]
) -> None:
    most = max(counts.creates, counts.updates, counts.leavers)
    within = most <= limits.floor or most * 100 <= accounts * limits.percent

    reasons = guard(plan(counts.creates, counts.updates, counts.leavers), limits, accounts, feeds)

    assert (reasons == ()) is within


@given(counts, full_feeds, st.integers(1, 1000), st.data())
def test_no_limits_let_a_shrunken_feed_through(
    counts: Counts, feeds: list[FeedSize], accounts: int, data: st.DataObject
) -> None:
    shrunken = FeedSize("staff", data.draw(st.integers(0, (accounts - 1) // 2)), accounts)
    generous = Limits(percent=100, floor=1_000_000)

    [reason] = guard(plan(counts.creates, counts.updates, counts.leavers), generous, accounts, [*feeds, shrunken])

    assert reason.startswith("feed staff returned ")


@given(counts, counts)
def test_an_approval_covers_what_is_no_more_than_it_in_any_respect(approved: Counts, other: Counts) -> None:
    is_no_more = (
        other.creates <= approved.creates and other.updates <= approved.updates and other.leavers <= approved.leavers
    )

    assert approved.covers(other) is is_no_more
    assert approved.covers(approved)


@given(counts, counts)
def test_an_approval_that_is_used_up_never_covers_more_than_was_left_of_it(approved: Counts, used: Counts) -> None:
    left = approved.less(used)

    assert approved.covers(left)
    assert left.less(left) == Counts()
    if approved.covers(used):
        assert Counts(left.creates + used.creates, left.updates + used.updates, left.leavers + used.leavers) == approved
    if used.covers(approved):
        assert left == Counts()


def test_an_approval_of_one_kind_does_not_cover_another() -> None:
    assert not Counts(creates=10).covers(Counts(updates=1))
    assert Counts(creates=10, updates=2).less(Counts(creates=3, leavers=4)) == Counts(creates=7, updates=2)


def test_plan_gives_the_number_of_its_calls() -> None:
    back = (Returner(key("R1"), 1, is_archived=True), Returner(key("R2"), 2, is_archived=False))
    moved = (Rekey(key("OLD"), key("NEW"), 7),) * 2
    whole = replace(
        plan(creates=3, updates=4, leavers=5, old_leavers=6),
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


def test_approval_covers_the_excess_or_all_changes_if_a_feed_has_shrunk() -> None:
    large = plan(creates=60, updates=1)
    halved = FeedSize("learners", 40, 100)

    assert required_approval(large, Limits(), 100, FULL) == Counts(creates=60)
    assert required_approval(large, Limits(), 100, [halved]) == Counts(creates=60, updates=1)
