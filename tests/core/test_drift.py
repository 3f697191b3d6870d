"""What counts as drift, and what is only another way of telling the same: §15 and U25 of the fact sheet."""

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.drift import Correction, Drift, DriftKind, Findings, is_same
from syncd.core.fields import Kind
from syncd.core.values import Value, read_value
from tests.support.records import key

from .complaints import written

LONDON: Final = ZoneInfo("Europe/London")

days = st.dates(date(1900, 1, 2), date(2100, 12, 30))
moments = st.datetimes(datetime(1972, 1, 2), datetime(2100, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


def _plain(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def _zulu(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"


def _shifted(moment: datetime) -> str:
    return _zulu(moment.replace(tzinfo=LONDON).astimezone(UTC))


def _in_london(moment: datetime) -> str:
    return moment.astimezone(LONDON).isoformat()


def _without_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


WAYS: Final = [_plain, _zulu, _shifted, _in_london]


@pytest.mark.parametrize("way", [*WAYS, _without_time])
@given(sent=days, other=days)
def test_day_differs_from_every_other_day_in_any_returned_form_and_zone(
    way: Callable[[datetime], str], sent: date, other: date
) -> None:
    sent_as = str(read_value(Kind.DATE, sent))

    assert is_same(Kind.DATE, sent_as, way(datetime.combine(sent, time(), UTC)))
    assert is_same(Kind.DATE, sent_as, way(datetime.combine(other, time(), UTC))) is (sent == other)


@pytest.mark.parametrize("way", [*WAYS, _without_time])
@given(sent=days, direction=st.sampled_from([-1, 1]))
def test_day_differs_from_its_neighbours(way: Callable[[datetime], str], sent: date, direction: int) -> None:
    neighbour = datetime.combine(sent + timedelta(days=direction), time(), UTC)

    assert not is_same(Kind.DATE, str(read_value(Kind.DATE, sent)), way(neighbour))


def test_summer_midnight_returned_as_previous_evening_is_the_same_day() -> None:
    assert is_same(Kind.DATE, "2022-06-01T00:00:00.000Z", "2022-05-31T23:00:00.000Z")
    assert is_same(Kind.DATE, "2022-06-01T00:00:00.000Z", "2022-06-01T00:00:00+01:00")
    assert not is_same(Kind.DATE, "2022-05-31T00:00:00.000Z", "2022-05-31T23:00:00.000Z")


@pytest.mark.parametrize("way", WAYS)
@given(moment=moments)
def test_a_moment_is_the_same_in_every_way_of_telling_it(way: Callable[[datetime], str], moment: datetime) -> None:
    assert is_same(Kind.MOMENT, str(read_value(Kind.MOMENT, moment)), way(moment))


@pytest.mark.parametrize("way", WAYS)
@given(moment=moments, seconds=st.integers(2, 3000))
def test_moment_differs_from_one_at_least_two_seconds_later(
    way: Callable[[datetime], str], moment: datetime, seconds: int
) -> None:
    later = moment + timedelta(seconds=seconds)

    assert not is_same(Kind.MOMENT, str(read_value(Kind.MOMENT, moment)), way(later))


@given(written.filter(lambda text: bool(text.strip())))
def test_text_is_the_same_in_any_unicode_form_and_with_blanks_around_it(text: str) -> None:
    sent = read_value(Kind.TEXT, text)
    assert isinstance(sent, str)

    assert is_same(Kind.TEXT, sent, unicodedata.normalize("NFD", sent))
    assert is_same(Kind.TEXT, sent, f" {sent}\r\n")
    assert not is_same(Kind.TEXT, sent, f"{sent}x")


@pytest.mark.parametrize(
    ("kind", "sent", "returned"),
    [
        (Kind.INTEGER, 15379, "15379"),
        (Kind.INTEGER, 0, 0),
        (Kind.BOOLEAN, True, "True"),
        (Kind.BOOLEAN, False, "false"),
        (Kind.BOOLEAN, True, 1),
        (Kind.TEXT, "9", 9),
        (Kind.ULN, "9276308686", 9276308686),
        (Kind.NINO, "AB123456C", "ab 12 34 56 c"),
        (Kind.LINES, "1 High Street\nYnys Môn", "1 High Street\r\nYnys Môn"),
        (Kind.LINES, "1 High Street\nYnys Môn", "1 High Street\rYnys Môn\r"),
        (Kind.DATE, "2022-06-01T00:00:00.000Z", "2022-06-01T00:00:00.0000000"),
    ],
)
def test_another_way_of_writing_it_is_no_drift(kind: Kind, sent: Value, returned: object) -> None:
    assert is_same(kind, sent, returned)


@pytest.mark.parametrize(
    ("kind", "sent", "returned"),
    [
        (Kind.INTEGER, 15379, "15380"),
        (Kind.INTEGER, 15379, "none"),
        (Kind.BOOLEAN, True, "False"),
        (Kind.TEXT, "Ann", "an"),
        (Kind.TEXT, "Ann", ["Ann"]),
        (Kind.EMAIL, "ann@example.org", "not an address"),
        (Kind.ULN, "9276308686", "9276308687"),
        (Kind.LINES, "1 High Street\nYnys Môn", "1 High Street, Ynys Môn"),
        (Kind.DATE, "2022-06-01T00:00:00.000Z", "1 June"),
        (Kind.DATE, "2022-06-01T00:00:00.000Z", "9999-12-31T23:00:00.000Z"),
        (Kind.DATE, "2022-06-01T00:00:00.000Z", "0001-01-01T00:00:00+01:00"),
        (Kind.MOMENT, "2022-06-01T12:00:00.000Z", 7),
    ],
)
def test_another_value_is_drift_even_one_that_could_never_have_been_sent(
    kind: Kind, sent: Value, returned: object
) -> None:
    assert not is_same(kind, sent, returned)


@pytest.mark.parametrize(
    ("kind", "sent", "returned"),
    [
        (Kind.EMAIL, "Ann.Example@Example.org", "ann.example@example.org"),
        (Kind.TEXT, "McDonald", "MCDONALD"),
        (Kind.TEXT, "Zoë", "ZOË"),
        (Kind.LINES, "1 High Street\nLeeds", "1 HIGH STREET\r\nLEEDS"),
    ],
)
def test_another_letter_case_is_no_drift(kind: Kind, sent: Value, returned: object) -> None:
    assert is_same(kind, sent, returned)
    assert not is_same(kind, sent, returned, in_any_case=False)
    assert not is_same(kind, sent, f"{returned}x")


def test_another_letter_case_of_a_misid_is_drift() -> None:
    findings = Findings()
    findings.add(key("A1"), 1, {"MISID": "A1", "FirstName": "Ann"}, {"MISID": "a1", "FirstName": "ANN"})

    assert [one.fields for one in findings.drift] == [("MISID",)]


def test_value_not_kept_is_reported_once_until_either_value_changes() -> None:
    def found(sent: Value, returned: object, correction: Correction | None = None) -> Findings:
        findings = Findings()
        corrections = None if correction is None else {"LastName": correction}
        findings.add(key("A1"), 1, {"LastName": sent}, {"LastName": returned}, corrections)
        return findings

    drift = Drift(key("A1"), 1, DriftKind.CHANGED, ("LastName",))
    first = found("Example", "Exam")
    assert first.drift == (drift,)
    sent = Correction(first.differences()[key("A1")]["LastName"])

    second = found("Example", "Exam", sent)
    assert second.drift == (replace(drift, not_kept=("LastName",)),)
    reported = second.corrections[key("A1")]["LastName"]
    assert reported == Correction(sent.digest, is_reported=True)

    third = found("Example", "Exam", reported)
    assert (third.drift, third.corrections) == ((), {key("A1"): {"LastName": reported}})
    for values in (("Example", "Exampl"), ("Examples", "Exam")):
        assert found(*values, reported).drift == found(*values, sent).drift == (drift,)
    # Once OneFile has had the value, another one is drift, even the former one.
    assert found("Example", "Example", reported).corrections == {key("A1"): {}}


SENT: Final[dict[str, Value]] = {"FirstName": "Ann", "Telephone": "01248 1"}


def test_only_what_was_sent_is_compared() -> None:
    findings = Findings()
    findings.add(key("A1"), 1, SENT, {**SENT, "LastName": "of another's making"})

    assert (findings.checked, findings.drift, findings.not_returned) == (1, (), frozenset())


def test_keys_are_read_in_any_letter_case() -> None:
    findings = Findings()
    findings.add(key("A1"), 1, SENT, {"firstname": "Ann", "TELEPHONE": "01248 1"})

    assert findings.drift == ()


@pytest.mark.parametrize("returned", [{"FirstName": "Ann"}, {**SENT, "Telephone": None}, {**SENT, "Telephone": ""}])
def test_what_was_sent_and_is_gone_has_drifted(returned: dict[str, object]) -> None:
    findings = Findings()
    findings.add(key("A1"), 1, SENT, returned)
    findings.add(key("A2"), 2, SENT, SENT)

    assert findings.drift == (Drift(key("A1"), 1, DriftKind.CHANGED, ("Telephone",)),)
    assert findings.not_returned == frozenset()


def test_field_never_returned_is_listed_once_and_is_not_drift() -> None:
    findings = Findings()
    findings.add(key("A1"), 1, SENT, {"FirstName": "Ann"})
    findings.add(key("A2"), 2, SENT, {"FirstName": "Anna"})

    assert findings.not_returned == {"Telephone"}
    assert findings.drift == (Drift(key("A2"), 2, DriftKind.CHANGED, ("FirstName",)),)


def test_field_absent_where_sent_but_returned_elsewhere_is_drift() -> None:
    findings = Findings()
    findings.add(key("A1"), 1, SENT, {"FirstName": "Ann"})
    findings.add(key("A2"), 2, {"FirstName": "Ann"}, SENT)

    assert findings.not_returned == frozenset()
    assert [one.fields for one in findings.drift] == [("Telephone",)]


def test_an_account_that_onefile_no_longer_has_is_missing() -> None:
    findings = Findings()
    findings.add(key("A2"), 2, SENT, None)
    findings.add(key("A1"), 1, SENT, {**SENT, "FirstName": "Anna"})

    assert findings.checked == 2
    assert [(one.key.misid, one.kind) for one in findings.drift] == [("A1", "changed"), ("A2", "missing")]
