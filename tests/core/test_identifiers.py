"""E-mail addresses, ULNs and NI numbers: checked here, because nobody knows whether OneFile checks them (U23)."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import assume, given
from hypothesis import strategies as st

from syncd.core.fields import Kind
from syncd.core.values import read_value
from tests.core.complaints import complaint_about, is_usable

ULN = "9276308686"
NO_ULN_YET = "9999999999"

first_nine_digits = st.from_regex(r"[1-9][0-9]{8}", fullmatch=True)


def check_digit(nine: str) -> str | None:
    """The tenth digit as the ILR works it out; there is none for every eleventh number."""
    remainder = sum(int(digit) * weight for digit, weight in zip(nine, (10, 9, 8, 7, 6, 5, 4, 3, 2), strict=True)) % 11
    return None if remainder == 0 else str(10 - remainder)


@given(first_nine_digits)
def test_of_the_ten_tenth_digits_only_the_check_digit_makes_a_uln(nine: str) -> None:
    assume(nine != NO_ULN_YET[:9])
    right = check_digit(nine)

    assert [digit for digit in "0123456789" if is_usable(nine + digit, Kind.ULN)] == ([right] if right else [])


@given(first_nine_digits, st.integers(0, 8))
def test_two_neighbouring_digits_of_a_uln_that_changed_places_are_noticed(nine: str, position: int) -> None:
    digit = check_digit(nine)
    assume(digit is not None)
    uln = f"{nine}{digit}"
    swapped = uln[:position] + uln[position + 1] + uln[position] + uln[position + 2 :]
    assume(swapped not in {uln, NO_ULN_YET})

    assert is_usable(uln, Kind.ULN)
    assert not is_usable(swapped, Kind.ULN)


@pytest.mark.parametrize("raw", [ULN, int(ULN), f" {ULN} ", float(ULN), ULN.encode()])
def test_a_uln_is_ten_digits_of_text_however_the_mis_keeps_it(raw: object) -> None:
    assert read_value(Kind.ULN, raw) == ULN


def test_the_number_that_stands_for_no_uln_yet_is_let_through() -> None:
    assert read_value(Kind.ULN, 9_999_999_999) == NO_ULN_YET


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ("9276308687", "has a wrong check digit"),
        ("927630868", "is not ten digits"),
        ("92763086860", "is not ten digits"),
        ("92763 08686", "is not ten digits"),
        ("927630868X", "is not ten digits"),
        ("0000000000", "is not ten digits"),
        ("\uff19276308686", "is not ten digits"),
    ],
)
def test_what_is_wrong_with_a_uln_is_said(raw: str, complaint: str) -> None:
    assert complaint_about(raw, Kind.ULN) == complaint


@given(st.from_regex(r"[ABCEGHJKLMNOPRSTWXYZ][ABCEGHJKLMNPRSTWXYZ][0-9]{6}[ABCD]", fullmatch=True))
def test_an_ni_number_is_sent_without_spaces_and_in_capitals(nino: str) -> None:
    assume(nino[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
    spaced = f" {nino[:2]} {nino[2:4]} {nino[4:6]} {nino[6:8]} {nino[8]} "

    assert read_value(Kind.NINO, nino) == nino
    assert read_value(Kind.NINO, spaced.lower()) == nino


@pytest.mark.parametrize(
    "raw",
    [
        *(f"{prefix}123456A" for prefix in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")),
        *(f"{letter}A123456A" for letter in "DFIQUV"),
        *(f"A{letter}123456A" for letter in "DFIOQUV"),
        "AB123456E",
        "AB123456",
        "AB12345A",
        "AB1234567A",
        "AB-123456-A",
        "A1123456A",
    ],
)
def test_what_cannot_be_an_ni_number_is_unusable(raw: str) -> None:
    assert complaint_about(raw, Kind.NINO) == "is not an NI number"


@given(st.emails(domains=st.just("college.example.org")))
def test_an_ordinary_address_is_sent_as_it_is_written(address: str) -> None:
    assert read_value(Kind.EMAIL, address) == address


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        (" Ann.Example@Example.org\n", "Ann.Example@Example.org"),
        (b"ann@example.org", "ann@example.org"),
        ("o'brien+learner@example.org", "o'brien+learner@example.org"),
        ("ann@college.test", "ann@college.test"),
        ("zoe\u0308@example.org", "zoë@example.org"),
    ],
)
def test_an_address_is_trimmed_and_otherwise_left_alone(raw: object, address: str) -> None:
    assert read_value(Kind.EMAIL, raw) == address


@pytest.mark.parametrize(
    "raw",
    [
        "ann",
        "ann@",
        "@example.org",
        "ann@localhost",
        "ann@@example.org",
        "ann@example..org",
        "ann@example.org; bob@example.org",
        "Ann Example <ann@example.org>",
        "ann example@example.org",
        "ann@exam\nple.org",
        "n/a",
        f"{'a' * 300}@example.org",
    ],
)
def test_what_no_mail_could_reach_is_unusable(raw: str) -> None:
    assert complaint_about(raw, Kind.EMAIL) == "is not an e-mail address"


@given(st.text("a@.-_xn'\"<>() \n\t0ü日\u0301\u2014\u0661\uff21\uff20\u3002", max_size=14).map("a@a{}".format))
def test_email_check_survives_any_text_and_allows_only_one_address(text: str) -> None:
    if is_usable(text, Kind.EMAIL):
        assert text.count("@") == 1
        assert len(text.split()) == 1


local_parts = st.text("aZ0._+-é'\" @", max_size=70)
domains = st.sampled_from(
    ["example.org", "example", "exämple.org", "a..org", "-a.org", "[127.0.0.1]", "x" * 64 + ".org", ""]
)


@given(st.emails() | st.tuples(local_parts, domains).map("@".join))
def test_the_short_way_for_plain_addresses_leads_where_the_long_one_does(address: str) -> None:
    try:
        validate_email(address, check_deliverability=False, test_environment=True)
        is_one = True
    except EmailNotValidError:
        is_one = False
    assume(address == address.strip() and address.isprintable())

    assert is_usable(address, Kind.EMAIL) == (is_one or not address)
