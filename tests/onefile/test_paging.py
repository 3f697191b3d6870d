"""Pages: nobody is left out whatever OneFile makes of their size, and no call is spent that could have been spared."""

from dataclasses import dataclass, field
from math import ceil
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.core.fields import Role
from syncd.errors import OneFileUnreachable, Refused
from syncd.onefile.pagination import PageSizes, TooManyPages, every_row
from syncd.simulator import Fault, FaultKind, OverCap
from tests.support.onefile import ORGANISATION

from .conftest import Open, Pair

_REFUSED = [OverCap.REFUSE]
_CUT_SHORT = [OverCap.CLAMP, OverCap.CUT]
_CAPS = [50, 70, 100, 400, 500, 1000, 5000]


@dataclass(frozen=True)
class _Person:
    id: int


@dataclass
class _Shelf:
    """So many people, on pages that are cut as by a OneFile with this cap, and the pages that were asked for."""

    people: int
    cap: int
    over_cap: OverCap
    asked: list[tuple[int, int]] = field(default_factory=list)

    def page(self, page: int, size: int) -> list[_Person]:
        self.asked.append((page, size))
        given = min(size, self.cap)
        if given < size and self.over_cap is OverCap.REFUSE:
            raise Refused(400, "too large")
        begin = (page - 1) * (size if self.over_cap is OverCap.CUT else given)
        return [_Person(number) for number in range(begin, min(begin + given, self.people))]

    def read(self, sizes: PageSizes, expected: int | None, at_most: int | None = None) -> int:
        """How many calls it takes to read them all, none of them twice."""
        self.asked.clear()
        found = [person.id for person in every_row(self.page, sizes, expected, at_most)]
        assert sorted(found) == list(range(self.people))
        return len(self.asked)


@example(people=151, cap=55, over_cap=OverCap.CLAMP, expected=[500, 100])
@given(
    people=st.integers(0, 1300) | st.sampled_from([49, 50, 51, 99, 100, 101, 499, 500, 501, 999, 1000, 1001]),
    cap=st.integers(1, 1500) | st.sampled_from(_CAPS),
    over_cap=st.sampled_from(OverCap),
    expected=st.lists(st.none() | st.integers(0, 2000), min_size=1, max_size=3),
)
def test_each_user_is_read_once_for_all_expectations_and_page_limits(
    people: int, cap: int, over_cap: OverCap, expected: list[int | None]
) -> None:
    # A page of 50 is known to work.
    shelf, sizes = _Shelf(people, max(cap, 50) if over_cap is OverCap.REFUSE else cap, over_cap), PageSizes()
    for one in expected:
        shelf.read(sizes, one)


@pytest.mark.parametrize("over_cap", OverCap)
@pytest.mark.parametrize("cap", _CAPS)
@pytest.mark.parametrize("expected", [0, 40, 50])
def test_where_few_are_expected_nothing_is_tried(expected: int, cap: int, over_cap: OverCap) -> None:
    assert _Shelf(expected, cap, over_cap).read(PageSizes(), expected) == (2 if expected else 1)


@pytest.mark.parametrize("over_cap", _CUT_SHORT)
@pytest.mark.parametrize("cap", _CAPS)
@pytest.mark.parametrize("people", [51, 100, 101, 500, 501, 1000, 3000])
def test_a_page_that_is_cut_short_costs_no_call_at_all(people: int, cap: int, over_cap: OverCap) -> None:
    given = min(cap, 100 if people <= 100 else 500 if people <= 500 else 1000)
    assert _Shelf(people, cap, over_cap).read(PageSizes(), people) == ceil(people / given) + 1


@pytest.mark.parametrize(
    ("cap", "people", "sizes_refused", "size_found"),
    [
        (50, 51, (100,), 50),
        (50, 500, (500, 100), 50),
        (50, 3000, (1000, 500, 100), 50),
        (100, 100, (), 100),
        (100, 101, (500,), 100),
        (100, 3000, (1000, 500), 100),
        (400, 3000, (1000, 500), 100),
        (500, 500, (), 500),
        (500, 3000, (1000,), 500),
        (1000, 60_000, (), 1000),
        (5000, 60_000, (), 1000),
    ],
)
def test_a_size_that_is_refused_is_asked_for_once_by_a_client(
    cap: int, people: int, sizes_refused: tuple[int, ...], size_found: int
) -> None:
    shelf, sizes = _Shelf(people, cap, OverCap.REFUSE), PageSizes()
    least = ceil(people / size_found) + 1

    assert shelf.read(sizes, people) == len(sizes_refused) + least
    assert [size for _, size in shelf.asked[: len(sizes_refused)]] == list(sizes_refused)
    assert shelf.read(sizes, people) == least
    assert sizes.calls(people) == least


@pytest.mark.parametrize("cap", [100, 400, 500])
def test_what_is_refused_never_costs_more_than_large_pages_save(cap: int) -> None:
    for people in [*range(1, 110), *range(110, 1300, 50)]:
        calls = _Shelf(people, cap, OverCap.REFUSE).read(PageSizes(), people)
        assert calls <= ceil(people / 50) + 1, people


@pytest.mark.parametrize(
    ("people", "calls"),
    [
        pytest.param(0, 1, id="nobody"),
        pytest.param(49, 2, id="not a page"),
        pytest.param(51, 3, id="50, then all in one, then nothing"),
        pytest.param(400, 3, id="the same"),
        pytest.param(3000, 6, id="50, 500, and 1,000 three times"),
    ],
)
def test_of_how_many_nothing_is_known_is_seen_by_the_first_page(people: int, calls: int) -> None:
    assert _Shelf(people, 5000, OverCap.REFUSE).read(PageSizes(), None) == calls


def test_known_page_size_is_used_at_once_when_the_count_is_unknown() -> None:
    sizes = PageSizes()
    _Shelf(2000, 5000, OverCap.REFUSE).read(sizes, 2000)
    assert _Shelf(800, 5000, OverCap.REFUSE).read(sizes, None) == 2


@pytest.mark.parametrize("over_cap", _CUT_SHORT)
def test_to_what_pages_are_cut_is_reckoned_with_from_then_on(over_cap: OverCap) -> None:
    sizes = PageSizes()
    _Shelf(450, 70, over_cap).read(sizes, 450)
    assert (sizes.calls(450), sizes.calls(40)) == (8, 2)


def test_new_user_on_the_second_page_is_not_taken_as_a_page_limit_of_three() -> None:
    pages = {(1, 50): [1, 2, 3], (2, 3): [4], (3, 3): []}
    sizes = PageSizes()
    found = every_row(lambda page, size: [_Person(number) for number in pages[page, size]], sizes, 3, None)
    assert [person.id for person in found] == [1, 2, 3, 4]
    assert sizes.best_size(3000) == 1000


@pytest.mark.parametrize("expected", [None, 60, 3000])
def test_a_onefile_that_gives_the_same_page_for_ever_is_not_read_for_ever(expected: int | None) -> None:
    found = every_row(lambda _page, size: [_Person(number) for number in range(size)], PageSizes(), expected, None)
    assert len(list(found)) <= 1000


@pytest.mark.parametrize(
    ("people", "cap", "over_cap", "expected", "at_most", "asked"),
    [
        pytest.param(500, 100, OverCap.REFUSE, 500, 3, [(1, 500)], id="a refusal"),
        pytest.param(3000, 100, OverCap.CLAMP, 3000, 5, [(1, 1000), (2, 100)], id="pages cut short"),
        pytest.param(3000, 50, OverCap.REFUSE, None, 3, [(1, 50), (1, 500), (1, 100)], id="more than were expected"),
        pytest.param(3000, 5000, OverCap.REFUSE, None, 2, [(1, 50), (1, 500)], id="many more"),
    ],
)
def test_what_turns_out_to_take_too_many_calls_is_given_up(
    people: int, cap: int, over_cap: OverCap, expected: int | None, at_most: int, asked: list[tuple[int, int]]
) -> None:
    shelf = _Shelf(people, cap, over_cap)
    with pytest.raises(TooManyPages):
        shelf.read(PageSizes(), expected, at_most)
    assert shelf.asked == asked


def test_refusal_not_about_the_page_size_is_raised() -> None:
    def refuse(_page: int, _size: int) -> list[_Person]:
        raise Refused(400, "no such filter")

    for expected in (None, 10, 3000):
        with pytest.raises(Refused):
            list(every_row(refuse, PageSizes(), expected, None))


def _crowd(pair: Pair, people: int) -> list[str]:
    misids = [f"L{number}" for number in range(people)]
    pair.simulator.sow({"users": [{"OrganisationID": ORGANISATION, "Role": 1, "MISID": misid} for misid in misids]})
    return misids


def _sizes_asked(pair: Pair) -> list[str]:
    return [path.removeprefix("/User/Search/") for path, _ in pair.calls if path.startswith("/User/Search/")]


@pytest.mark.parametrize(
    ("switches", "asked"),
    [
        ({}, ["1/500", "1/100", "2/100", "3/100", "4/100"]),
        ({"page_cap": 50}, ["1/500", "1/100", *(f"{page}/50" for page in range(1, 7))]),
        ({"page_cap": 1000}, ["1/500", "2/230"]),
        ({"over_cap": OverCap.CLAMP}, ["1/500", "2/100", "3/100", "4/100"]),
        ({"over_cap": OverCap.CUT}, ["1/500", "2/100", "3/100", "4/100"]),
        ({"over_cap": OverCap.CUT, "page_cap": 30}, ["1/500", *(f"{page}/30" for page in range(2, 10))]),
    ],
)
def test_a_client_asks_for_the_largest_pages_that_onefile_gives(
    opened: Open, switches: dict[str, Any], asked: list[str]
) -> None:
    pair = opened(**switches)
    misids = _crowd(pair, 230)

    found = [user.misid for user in pair.client.users(ORGANISATION, Role.LEARNER, expected=230)]

    assert (sorted(found), _sizes_asked(pair)) == (sorted(misids), asked)


def test_page_that_onefile_fails_on_is_made_smaller_before_giving_up(opened: Open) -> None:
    pair = opened(page_cap=1000)
    misids = _crowd(pair, 230)
    pair.simulator.faults.add(Fault(FaultKind.ERROR_BEFORE, path="/User/Search/1/500", times=None))

    for _ in range(2):
        found = [user.misid for user in pair.client.users(ORGANISATION, Role.LEARNER, expected=230)]
        assert sorted(found) == sorted(misids)
    assert _sizes_asked(pair).count("1/500") == 3, "that is one call and its repetitions"

    pair.simulator.faults.add(Fault(FaultKind.ERROR_BEFORE, path="/User/Search*", times=None))
    with pytest.raises(OneFileUnreachable):
        list(pair.client.users(ORGANISATION, Role.LEARNER, expected=3000))


def test_what_one_thread_has_learnt_of_pages_the_others_know(opened: Open) -> None:
    pair = opened()
    _crowd(pair, 230)
    list(pair.client.users(ORGANISATION, Role.LEARNER, expected=230))

    assert pair.client.calls_for(230) == 4
    list(pair.client.places(Role.CLASSROOM, ORGANISATION, expected=300))
    assert [path for path, _ in pair.calls if path.startswith("/Classroom")] == [
        "/Classroom/Search/1/100",
        "/Classroom/Search/2/1",
    ]
