"""What people are told: each trouble once, that it is over once, and nothing that mends itself soon enough."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.alerts import TROUBLES, Alert, AlertKind, Condition, Notification, digest, due_notifications
from syncd.core.records import Reason

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
PATIENCE = timedelta(minutes=30)
TRANSIENT = {AlertKind.ONEFILE, AlertKind.MIS, AlertKind.STORE}


def _news(amiss: dict[AlertKind, Condition], sent: set[AlertKind], now: datetime = NOON) -> list[Notification]:
    conditions = {Alert(kind): condition for kind, condition in amiss.items()}
    return due_notifications(conditions, [Alert(kind) for kind in sent], now, PATIENCE, LONDON)


@pytest.mark.parametrize("subject", TROUBLES)
def test_trouble_is_notified_once_and_its_end_once(subject: AlertKind) -> None:
    amiss = {subject: Condition(NOON - timedelta(hours=1), "Something is wrong.")}
    (news,) = _news(amiss, set())
    assert (news.alert.kind, news.is_over) == (subject, False)
    assert "Something is wrong." in news.body
    assert _news(amiss, {subject}) == []
    (recovery,) = _news({}, {subject})
    assert (recovery.alert.kind, recovery.is_over) == (subject, True)
    assert _news({}, set()) == []


@pytest.mark.parametrize("subject", TROUBLES)
def test_only_what_does_not_answer_is_given_time(subject: AlertKind) -> None:
    just_now = {subject: Condition(NOON - PATIENCE + timedelta(seconds=1), "It is down.")}
    assert bool(_news(just_now, set())) is (subject not in TRANSIENT)
    assert len(_news(just_now, set(), NOON + timedelta(seconds=1))) == 1


def test_notified_trouble_that_starts_again_is_not_reported_as_over() -> None:
    anew = {AlertKind.ONEFILE: Condition(NOON, "It is down again.")}
    assert _news(anew, {AlertKind.ONEFILE}) == []


def test_each_suspended_kind_of_change_is_notified_by_itself() -> None:
    creates, updates = (Alert(AlertKind.SUSPENDED, f"{what} of learners") for what in ("creates", "updates"))
    problem = Condition(NOON, "OneFile refuses them.")
    (first,) = due_notifications({creates: problem}, [], NOON, PATIENCE, LONDON)
    assert first.title == "OneFile refuses creates of learners again and again"
    (second,) = due_notifications({creates: problem, updates: problem}, [creates], NOON, PATIENCE, LONDON)
    assert (second.alert, second.is_over) == (updates, False)
    (over,) = due_notifications({updates: problem}, [creates, updates], NOON, PATIENCE, LONDON)
    assert (over.alert, over.is_over) == (creates, True)
    assert over.title == "OneFile no longer refuses creates of learners again and again"


def test_notification_times_are_in_local_time() -> None:
    (news,) = _news({AlertKind.ONEFILE: Condition(NOON - timedelta(hours=2), "It is down.")}, set())
    assert news.title == "OneFile has not answered since 15 Jul 2026 11:00"


@given(
    moments=st.lists(
        st.dictionaries(st.sampled_from(TROUBLES), st.timedeltas(timedelta(), timedelta(days=2)), max_size=4)
    )
)
def test_notifications_cover_all_current_troubles_without_repetition(
    moments: list[dict[AlertKind, timedelta]],
) -> None:
    known: set[AlertKind] = set()
    for ages in moments:
        amiss = {subject: Condition(NOON - age, "So it is.") for subject, age in ages.items()}
        for news in _news(amiss, known):
            assert (news.alert.kind in known) is news.is_over
            (known.discard if news.is_over else known.add)(news.alert.kind)
        assert known <= amiss.keys()
        assert {one for one in amiss.keys() - known if one not in TRANSIENT or ages[one] >= PATIENCE} == set()
        assert _news(amiss, known) == []


def test_a_digest_counts_what_is_newly_held_by_reason() -> None:
    news = digest({Reason.MISSING: 2, Reason.DUPLICATE_KEY: 1}, 7)
    assert news is not None
    assert news.title == "3 records are newly held"
    assert news.body.splitlines() == [
        "1: duplicate key",
        "2: missing",
        "",
        "7 are held in total: 'syncd held' lists them with their reasons.",
    ]


@pytest.mark.parametrize("held", [0, 7])
def test_there_is_no_digest_of_nothing(held: int) -> None:
    assert digest({}, held) is None
