"""Some of a plan: small whatever the plan, true in its counts, and without a value."""

import json

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.fields import Role
from syncd.core.guard import Counts
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Rekey, Returner, Update
from syncd.core.plan_sample import sample_plan
from syncd.core.values import Sent
from tests.support.records import NOW, key

SECRET = "Zz-a-personal-value"
ROLES = st.sampled_from([Role.LEARNER, Role.ASSESSOR])
KEYS = st.builds(key, st.text("L123", min_size=1, max_size=3), ROLES)
FIELDS = st.dictionaries(st.sampled_from(["Email", "LastName", "ULN"]), st.just(SECRET), min_size=1)
PLANS = st.builds(
    Plan,
    creates=st.lists(st.builds(Create, KEYS, st.just("feed"), FIELDS)).map(tuple),
    updates=st.lists(st.builds(Update, KEYS, st.just("feed"), st.just(1), FIELDS)).map(tuple),
    returners=st.lists(st.builds(Returner, KEYS, st.just(1), st.booleans())).map(tuple),
    leavers=st.lists(st.builds(Leaver, KEYS, st.just(1), st.sampled_from([None, NOW]), st.booleans())).map(tuple),
    rekeys=st.lists(st.builds(Rekey, KEYS, KEYS, st.just(1))).map(tuple),
    grants=st.lists(st.builds(Grant, KEYS, st.just("feed"), st.booleans())).map(tuple),
    assigns=st.lists(st.builds(Assign, KEYS, KEYS, st.just("feed"))).map(tuple),
)


@given(PLANS)
def test_it_counts_what_the_guard_counts(plan: Plan) -> None:
    sample, counts = sample_plan(plan), Counts.from_plan(plan)
    assert [sample[name]["count"] for name in ("creates", "updates", "leavers")] == [
        counts.creates,
        counts.updates,
        counts.leavers,
    ]
    for group in sample.values():
        assert sum(group["by_role"].values()) == group["count"]


@given(PLANS, st.integers(1, 5))
def test_it_is_small_and_holds_no_value(plan: Plan, most: int) -> None:
    sample = sample_plan(plan, most)
    assert SECRET not in json.dumps(sample)
    for group in sample.values():
        assert len(group["some"]) == min(most, group["count"])


def test_what_it_shows_is_from_all_over_the_plan() -> None:
    plan = Plan(creates=tuple(Create(key(f"L{number:03}"), "feed", {}) for number in range(100)))
    shown = [each["misid"] for each in sample_plan(plan, most=4)["creates"]["some"]]
    assert shown == ["L000", "L025", "L050", "L075"]


def test_it_counts_the_fields_that_updates_are_about() -> None:
    told: list[dict[str, Sent]] = [{"Email": "a"}, {"Email": "b", "ULN": "c"}, {"Email": "d", "ULN": "e"}]
    plan = Plan(updates=tuple(Update(key(f"L{number}"), "feed", number, each) for number, each in enumerate(told)))
    assert sample_plan(plan)["updates"]["by_field"] == {"Email": 3, "ULN": 2}
