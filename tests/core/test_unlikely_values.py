"""Values that no person has are held, left out or warned of, and the others are sent."""

import json
from datetime import date, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.fields import FIELDS, Role, columns_of
from syncd.core.records import Held, Layout, Reason, Record
from syncd.core.values import GARBLED
from tests.support.cases import rows_of

TODAY: Final = date(2026, 9, 1)
VALUES: Final = {
    "MISID": "L1",
    "FirstName": "Ann",
    "LastName": "Example",
    "Email": "ann@example.org",
    "DefaultAssessorID": 7,
    "ClassroomID": 15379,
    "PlacementID": 18928,
}


def outcome(name: str, value: object, role: Role = Role.LEARNER) -> Record | Held:
    """What becomes of a good row in which one value is another."""
    columns = tuple(columns_of(role).values())
    row: dict[str, Any] = dict.fromkeys(columns) | VALUES | {name: value}
    layout = Layout.from_columns(role, "people", columns, 5740, today=TODAY)
    return layout.read([row[column] for column in columns], 1)


def verdict(name: str, value: object, role: Role = Role.LEARNER) -> str:
    """In one word, as in the file of cases."""
    read = outcome(name, value, role)
    if isinstance(read, Held):
        return "held"
    if name not in read.fields:
        return "left out"
    return "warned" if read.warnings else "sent"


def detail(name: str, value: object) -> str:
    read = outcome(name, value)
    if isinstance(read, Held):
        return read.detail
    (warned,) = read.warnings
    return warned.detail


@pytest.mark.shared_data
def test_each_case_has_the_right_verdict() -> None:
    cases = [
        (case["field"], json.loads(case["value"]), Role(case["role"]), case["right"]) for case in rows_of("values.csv")
    ]

    assert cases
    assert [(*case[:3], verdict(*case[:3])) for case in cases] == cases


@pytest.mark.parametrize(
    ("character", "complaint"),
    [
        ("\N{ZERO WIDTH SPACE}", "contains an invisible character (U+200B zero width space)"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}", "contains an invisible character (U+FEFF zero width no-break space)"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}", "contains an invisible character (U+202E right-to-left override)"),
        ("\N{SOFT HYPHEN}", "contains an invisible character (U+00AD soft hyphen)"),
        ("\N{ZERO WIDTH JOINER}", "contains an invisible character (U+200D zero width joiner)"),
        ("\N{HANGUL FILLER}", "contains an invisible character (U+3164 hangul filler)"),
        ("\N{BRAILLE PATTERN BLANK}", "contains an invisible character (U+2800 braille pattern blank)"),
        ("\ue000", "has a character that was lost on the way"),
        ("\uffff", "has a character that was lost on the way"),
    ],
)
@pytest.mark.parametrize("value", ["{}", "Ann{}", "{}Ann", "Ann{}Marie"])
def test_name_with_an_invisible_character_is_held(character: str, complaint: str, value: str) -> None:
    assert verdict("FirstName", value.format(character)) == "held"
    assert detail("FirstName", value.format(character)) == f"FirstName {complaint}"
    assert verdict("Telephone", value.format(character)) == "left out"
    assert verdict("HomeAddress", value.format(character)) == "left out"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\v", "\f", "\N{LINE SEPARATOR}", "\N{PARAGRAPH SEPARATOR}"])
def test_line_end_within_a_name_is_held_and_at_its_end_trimmed(end: str) -> None:
    assert detail("LastName", f"Ex{end}ample") == "LastName has more than one line"
    assert verdict("LastName", f"Example{end}") == "sent"
    assert verdict("LastName", f"{end}Example") == "sent"
    # Of an address they are a part.
    assert verdict("HomeAddress", f"1 High Street{end}Leeds") == "sent"


def test_tab_within_a_name_is_held() -> None:
    assert detail("LastName", "Ex\tample") == "LastName contains a tab"


@pytest.mark.parametrize(
    "name",
    [
        "Zoë",
        "O\N{RIGHT SINGLE QUOTATION MARK}Brien",
        "Nuñez-Łuć",
        "می\N{ZERO WIDTH NON-JOINER}خواهم",
        "Д\N{RIGHT SINGLE QUOTATION MARK}Арк",
        "陳大文",
        "क्‍ष",
    ],
)
def test_name_in_any_script_is_sent(name: str) -> None:
    assert verdict("LastName", name) == "sent"


@pytest.mark.parametrize("name", ["-", ".", "???", "0", "12345", "\u0301"])
def test_name_without_a_letter_is_sent_with_a_warning(name: str) -> None:
    assert verdict("FirstName", name) == "warned"
    assert detail("FirstName", name) == "FirstName has no letter; it is sent as it is"
    assert verdict("Telephone", name) == "sent"


@pytest.mark.parametrize(
    ("name", "longest"), [("LastName", 255), ("CompanyName", 255), ("HomeAddress", 4000), ("WorkAddress", 4000)]
)
def test_text_longer_than_any_value_is_not_sent(name: str, longest: int) -> None:
    without_it = "held" if Role.LEARNER in FIELDS[name].mandatory else "left out"

    assert verdict(name, "x" * longest) == "sent"
    for value in ("x" * (longest + 1), "x" * 1_000_000, b"x" * 1_000_000):
        assert verdict(name, value) == without_it
        assert detail(name, value) == f"{name} is longer than {longest:,} characters"


@pytest.mark.parametrize(
    ("day", "complaint"),
    [
        (TODAY + timedelta(days=1), "is in the future"),
        (date(2100, 12, 31), "is in the future"),
        (TODAY, "is less than 10 years ago"),
        (TODAY - timedelta(days=1), "is less than 10 years ago"),
        (date(2016, 9, 2), "is less than 10 years ago"),
        (date(1901, 1, 1), "is more than 110 years ago"),
        (date(1915, 9, 1), "is more than 110 years ago"),
    ],
)
def test_day_of_birth_that_no_person_has_is_left_out(day: date, complaint: str) -> None:
    for raw in (day, day.isoformat(), f"{day} 00:00:00"):
        assert verdict("DOB", raw) == "left out"
        assert detail("DOB", raw) == f"DOB {complaint}"
    assert verdict("PlannedEndDate", day) == "sent"


@given(st.dates(date(1915, 9, 2), date(2016, 9, 1)))
def test_day_of_birth_of_a_person_of_10_to_110_years_is_sent(day: date) -> None:
    assert verdict("DOB", day) == "sent"


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("o\u2019brien@example.ac.uk", "contains U+2019 right single quotation mark, which is in no e-mail address"),
        ("o\u2018brien@example.ac.uk", "contains U+2018 left single quotation mark, which is in no e-mail address"),
        ("o\u02bcbrien@example.ac.uk", "contains U+02BC modifier letter apostrophe, which is in no e-mail address"),
        ("ann\u2013marie@example.ac.uk", "contains U+2013 en dash, which is in no e-mail address"),
        ("ann\uff20example.ac.uk", "contains U+FF20 fullwidth commercial at, which is in no e-mail address"),
        ("o\ufb03ce@example.ac.uk", "contains U+FB03 latin small ligature ffi, which is in no e-mail address"),
        ("ann\u200b@example.ac.uk", "contains U+200B zero width space, which is in no e-mail address"),
        ("p\u0430ul@example.ac.uk", "mixes letters that look alike: Cyrillic and Latin"),
        ("paul@ex\u0430mple.ac.uk", "mixes letters that look alike: Cyrillic and Latin"),
        ("\u0440\u0430\u0443\u043b@example.ac.uk", "mixes letters that look alike: Cyrillic and Latin"),
        ("\u03b1nn@example.ac.uk", "mixes letters that look alike: Greek and Latin"),
    ],
)
def test_address_with_a_character_of_another_alphabet_is_held(address: str, complaint: str) -> None:
    assert verdict("Email", address) == "held"
    assert detail("Email", address) == f"Email {complaint}"


@pytest.mark.parametrize("address", ["o'brien@example.ac.uk", "zoë@example.ac.uk", "ann@münchen.de", "павел@почта.рф"])
def test_address_in_one_alphabet_is_sent(address: str) -> None:
    assert verdict("Email", address) == "sent"


@pytest.mark.parametrize("name", ["local", "LOCAL", "lan", "internal", "intranet", "corp", "home", "localdomain"])
def test_address_within_a_network_is_held_with_its_own_sentence(name: str) -> None:
    complaint = f"ends with .{name.lower()}, a name within a network, which no mail from OneFile reaches"

    assert detail("Email", f"ann@college.{name}") == f"Email {complaint}"
    assert verdict("Email", f"ann@{name.lower()}.example.ac.uk") == "sent"


@pytest.mark.parametrize("value", ["ZoÃ«", "Oâ€™Brien", "Å\xa0imon", "JosÃ©", "ÐžÐ»ÐµÐ³", "VoilÃ\xa0", "ZoÃ«".encode()])
def test_text_that_decodes_the_other_way_round_is_sent_with_a_warning(value: object) -> None:
    read = outcome("FirstName", value)

    assert isinstance(read, Record)
    (warned,) = read.warnings
    assert (warned.reason, warned.field) == (Reason.DOUBTFUL, "FirstName")
    assert warned.detail == f"FirstName {GARBLED}; it is sent as it is"


@pytest.mark.parametrize("value", ["Å\x81ucja", "MarÃ\xada"])
def test_garbled_text_with_an_invisible_character_is_held_with_its_cause(value: str) -> None:
    assert verdict("FirstName", value) == "held"
    assert detail("FirstName", value) == f"FirstName {GARBLED}"


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
@given(st.text(st.characters(codec="latin-1", categories=["L"]), min_size=1, max_size=30))
def test_every_garbled_name_is_noticed(encoding: str, name: str) -> None:
    garbled = name.encode().decode(encoding, errors="ignore")
    is_whole = garbled.encode(encoding).decode(errors="replace") == name

    if not name.isascii() and is_whole:
        assert verdict("LastName", garbled) != "sent"


@given(st.text("abcdefzABCÀÉÑÖØßàéêîñöøüÿ'- ", min_size=1, max_size=30))
def test_no_name_in_latin_letters_counts_as_garbled(name: str) -> None:
    assert verdict("LastName", f"X{name}") == "sent"
