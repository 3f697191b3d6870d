"""No sequence of runs, whatever their sizes and times, changes more than the day's and the week's share unapproved."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.guard import DAY, WEEK, ChangeKind, Counts, FeedSize, Limits, Usage, guard
from syncd.core.plan import Create, Leaver, Plan, Update
from tests.support.records import NOW, key

_YEAR = timedelta(days=365)
_FEED = (FeedSize("learners", 1000, 1000),)


@dataclass(frozen=True, slots=True)
class _Sent:
    """What one run has sent without approval, and when."""

    at: timedelta
    counts: Counts
    accounts: int
    """How many there were before it, created without approval or not."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the MIS asks for: after how long, and how much in parts of the accounts."""

    after: timedelta
    parts: tuple[float, float, float, float]
    is_approved: bool


#: Often the exact lengths of the windows, and just less.
_gaps = st.one_of(
    st.timedeltas(timedelta(0), timedelta(days=9)),
    st.sampled_from(
        [timedelta(minutes=15), timedelta(hours=8), DAY, DAY - timedelta(seconds=1), WEEK, timedelta(days=1, hours=1)]
    ),
)
_parts = st.one_of(st.just(0.0), st.sampled_from([0.05, 0.1, 0.11, 0.15, 0.25]), st.floats(0, 0.4))
_wishes = st.lists(
    st.builds(_Wish, _gaps, st.tuples(_parts, _parts, _parts, _parts), st.sampled_from([False] * 7 + [True])),
    min_size=1,
    max_size=40,
)


def _plan(counts: Counts) -> Plan:
    return Plan(
        creates=tuple(Create(key(f"C{number}"), "learners", {}) for number in range(counts.creates)),
        updates=tuple(Update(key(f"U{number}"), "learners", number, {}) for number in range(counts.updates)),
        leavers=(
            *(Leaver(key(f"L{number}"), number, None, to_archive=False) for number in range(counts.leavers)),
            *(Leaver(key(f"A{number}"), number, NOW, to_archive=True) for number in range(counts.archivings)),
        ),
    )


def _sum(sent: list[_Sent], begin: timedelta) -> Counts:
    """All that was sent after ``begin``."""
    return Counts.by_kind({kind: sum(each.counts.of(kind) for each in sent if each.at > begin) for kind in ChangeKind})


def _year(wishes: list[_Wish], accounts: int, limits: Limits) -> list[_Sent]:
    """Carry the wishes out every month of a year; returns what was sent without approval."""
    sent: list[_Sent] = []
    at = timedelta(0)
    while at < _YEAR:
        for wish in wishes:
            at += wish.after + timedelta(minutes=1)
            wanted = Counts(*(int(part * accounts) for part in wish.parts))
            week = _sum(sent, at - WEEK)
            usage = Usage(max(0, accounts - week.creates), accounts, _sum(sent, at - DAY), week)
            objections = guard(_plan(wanted), limits, usage, _FEED)
            if objections and not wish.is_approved:
                continue
            if not wish.is_approved:
                sent.append(_Sent(at, wanted, usage.accounts))
            accounts = max(0, min(accounts + wanted.creates - wanted.archivings, 2000))
        # Fewer than one run an hour on average say no more, and take long.
        at += timedelta(days=30)
    return sent


@given(
    _wishes,
    st.integers(0, 400),
    st.builds(
        Limits,
        st.sampled_from([10, 5, 25, 100]),
        st.integers(0, 60),
        percent_day=st.sampled_from([15, 10, 25]),
        percent_week=st.sampled_from([25, 15]),
    ),
)
@settings(max_examples=25)
def test_no_year_has_a_day_or_a_week_with_more_than_its_share(
    wishes: list[_Wish], accounts: int, limits: Limits
) -> None:
    history = _year(wishes, accounts, limits)

    for last, run in enumerate(history):
        floor = min(limits.floor, run.accounts // 4)
        for window, percent in ((DAY, limits.percent_day), (WEEK, limits.percent_week)):
            together = [each.counts for each in history[: last + 1] if each.at > run.at - window]
            for kind in ChangeKind:
                changed = sum(counts.of(kind) for counts in together)
                if run.counts.of(kind):
                    assert changed <= max(floor, run.accounts * percent / 100), (kind, window, run.at)


@pytest.mark.parametrize(
    ("gap", "sizes"),
    [
        (timedelta(minutes=15), [100, 50, 0, 0, 0, 0]),
        (DAY - timedelta(seconds=1), [100, 50, 100, 0, 0, 0]),
        (DAY, [100, 100, 50, 0, 0, 0]),
        (WEEK, [100, 100, 100, 100, 100, 100]),
    ],
)
def test_window_ends_exactly_24_hours_and_7_days_later(gap: timedelta, sizes: list[int]) -> None:
    """What is the most that each of six runs may update, of 1,000 accounts?"""
    sent: list[_Sent] = []
    most: list[int] = []
    for at in accumulate([timedelta(0), *[gap] * 5]):
        usage = Usage(1000, 1000, _sum(sent, at - DAY), _sum(sent, at - WEEK))
        may = [n for n in range(101) if not guard(_plan(Counts(updates=n)), Limits(), usage, _FEED)][-1]
        sent.append(_Sent(at, Counts(updates=may), 1000))
        most.append(may)

    assert most == sizes
