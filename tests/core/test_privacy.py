"""Taking personal values out of what OneFile says."""

import html
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.redaction import redact
from syncd.core.values import Sent
from tests.support.provider.generator import made_up_learners

words = st.text("abcdeé0123", min_size=1, max_size=5)

_ANN: Final[Mapping[str, Sent]] = {
    "MISID": "L1001",
    "FirstName": "Ann Marie",
    "LastName": "O'Featherstone",
    "Email": "ann.featherstone7@canary.example.org",
    "DOB": "2003-04-17T00:00:00.000Z",
    "NINO": "AB123456C",
    "ULN": "1234567890",
    "MobileNumber": "07700 900123",
    "HomeAddress": "12 Pilgrim Street\nExampleton\nEX1 2MP",
    "DefaultAssessorID": 15379,
}


@pytest.mark.parametrize(
    ("text", "values", "left"),
    [
        ("Email ann@example.org is taken", {"Email": "ann@example.org"}, "Email … is taken"),
        ("EMAIL ANN@EXAMPLE.ORG IS TAKEN", {"Email": "ann@example.org"}, "EMAIL … IS TAKEN"),
        ("Ann Example exists", {"FirstName": "Ann", "Name": "Ann Example"}, "… exists"),
        ("classroom 15379 is full", {"ClassroomID": 15379}, "classroom … is full"),
        ("a learner needs a class", {"FirstName": "a"}, "… learner needs … class"),
        ("C++ (basic) is no class", {"EpisodeName": "C++ (basic)"}, "… is no class"),
        ("the value !! is no name", {"FirstName": "!!"}, "the value … is no name"),
        ("the name 'Ann' is taken", {}, "the name … is taken"),
        ('the name "Ann" or "Anne" is taken', {}, "the name … is taken"),
        ("the name \u201cAnn\u201d is taken", {}, "the name … is taken"),
        ("nothing to hide", {"FirstName": "", "LastName": None}, "nothing to hide"),
        ("", {"FirstName": "Ann"}, ""),
        ("L12 cannot be 0", {"L12": "98", "L13": "F", "L14": "2"}, "L12 cannot be 0"),
        ("The learning aim of a learner", {"EpisodeName": "Learning support"}, "The learning aim of a learner"),
    ],
)
def test_a_value_is_left_out_wherever_it_stands_as_a_word(text: str, values: Mapping[str, Sent], left: str) -> None:
    assert redact(text, values) == left


@pytest.mark.parametrize(
    "form",
    [
        *("2003-04-17", "2003-04-17T00:00:00", "2003/4/17", "17/04/2003", "17/4/03", "17.04.2003", "04/17/2003"),
        *("4/17/2003 12:00:00 AM", "17 April 2003", "17th of April, 2003", "Apr 17, 2003", "17-Apr-2003", "17Apr2003"),
        *("20030417", "17042003", "030417", "DOB17042003", "/Date(1050534000000)/", "/Date(1050537600000+0100)/"),
        *("2003-04-16T23:00:00Z", "17%2F04%2F2003", "17&#x2F;04&#x2F;2003", "Thursday, 17 April 2003"),
        *(
            "O'Featherstone",
            "O&#39;Featherstone",
            "O&amp;#39;Featherstone",
            "O&apos;Featherstone",
            "O\u2019Featherstone",
        ),
        *("O\\u0027Featherstone", "O\\'Featherstone", "O''Featherstone", "O%27Featherstone", "O%2527Featherstone"),
        *("OFeatherstone", "O Featherstone", "o-featherstone", "O&rsquo;Featherstone", "O%u0027Featherstone"),
        *("O'Feathers", "Feathers", "Feat", "O&#39;Feath", "\u2026O'Feath\u2026"),
        *(
            "FirstName=Ann+Marie&LastName=O%27Featherstone&x=1",
            "Ann&Marie",
            "AnnMarie",
            "ann_marie",
            "AnnMarieOFeatherstone",
        ),
        *("annfeatherstone", "featherstoneann7", "afeatherstone", "amofeatherstone03", "UserAnn", "UserFeatherstone1"),
        *(
            "ann.featherstone7%40canary.example.org",
            "ann.featherstone7&#64;canary.example.org",
            "annfeatherstone7canary.example.org",
        ),
        *(
            "ann.featherstone7",
            "ann.featherstone7@canary",
            "canary.example.org",
            "mailto:ann.featherstone7@canary.example.org",
        ),
        *("AB123456C", "AB 12 34 56 C", "ab-12-34-56-c", "AB123456", "NINO:AB123456C", "NINOAB123456C"),
        *("1234567890", "123 456 7890", "ULN1234567890", "12345678"),
        *("07700900123", "07700 900 123", "+44 7700 900123", "+44 (0)7700 900123", "00447700900123", "7700900123"),
        *(
            "12 Pilgrim Street, Exampleton, EX1 2MP",
            "12 Pilgrim Street\\nExampleton\\nEX1 2MP",
            "Pilgrim",
            "Pilgrim Stre",
        ),
    ],
)
def test_every_usual_form_of_a_value_is_recognised(form: str) -> None:
    left = redact(f"The user {form} cannot be saved", _ANN)

    shown = set(re.findall(r"[^\W_]+", left.casefold()))
    names = "firstname lastname x 1 dob uln nino mailto date thursday o"
    times = "t00 t23 12 00 00z 0100 am"
    assert shown <= set(f"the user cannot be saved {names} {times}".split()), left
    assert left.startswith("The user ")
    assert left.endswith(" cannot be saved")


def test_values_that_the_account_had_before_are_left_out_too() -> None:
    assert redact("Smith and Jones", {"LastName": "Jones"}, {"LastName": "Smith"}) == "… and …"


@pytest.mark.parametrize(
    ("text", "values", "left"),
    [
        ("José is taken", {"FirstName": "José"}, "… is taken"),
        ("Jose is taken", {"FirstName": "José"}, "… is taken"),
        ("JOS\u00c9 is taken", {"FirstName": "José"}, "… is taken"),
        ("Jose\u0301 is taken", {"FirstName": "José"}, "… is taken"),
        ("Jos? is taken", {"FirstName": "José"}, "… is taken"),
        ("Jos\ufffd is taken", {"FirstName": "José"}, "… is taken"),
        ("Jos%E9 is taken", {"FirstName": "José"}, "… is taken"),
        ("Jos\u00c3\u00a9 is taken", {"FirstName": "José"}, "… is taken"),
        ("Strasse is taken", {"LastName": "Straße"}, "… is taken"),
        ("\\ud83d\\ude00 is taken", {"LastName": "\U0001f600"}, "… is taken"),
    ],
)
def test_a_name_is_recognised_without_its_accents(text: str, values: Mapping[str, Sent], left: str) -> None:
    assert redact(text, values) == left


@pytest.mark.parametrize("text", ["\\ud800", "a\x00b", "\u202eevil", "a\nb", "\x1b[2J"])
def test_what_is_left_can_be_stored_and_printed(text: str) -> None:
    assert redact(text).isprintable()
    redact(text).encode()


@given(st.lists(words), st.lists(words))
def test_no_word_that_is_a_value_is_left_and_no_other_word_is_lost(said: list[str], values: list[str]) -> None:
    left = re.findall(r"\w+", redact(" ".join(said), {f"L{number}": value for number, value in enumerate(values)}))

    plain = {_plain(value) for value in values} | {value.lower() for value in values}
    garbled = {_garbled(value) for value in values}

    def is_another(word: str) -> bool:
        return _plain(word) not in plain and _garbled(word) not in garbled

    assert [word for word in said if is_another(word)] == [word for word in left if is_another(word)]
    assert not {word.lower() for word in left} & {value.lower() for value in values}


_PEOPLE: Final = made_up_learners()

_ESCAPES: Final[list[Callable[[str], str]]] = [
    str,
    str.upper,
    html.escape,
    lambda text: html.escape(html.escape(text)),
    quote,
    quote_plus,
    lambda text: quote(quote(text, safe=""), safe=""),
    lambda text: json.dumps(text)[1:-1],
    lambda text: "".join(f"&#{ord(each)};" for each in text),
    lambda text: "".join(f"\\u{ord(each):04x}" for each in text),
]
_TEMPLATES: Final = (
    "{} exists already",
    "Duplicate user [{}]",
    "FirstName=x&LastName={}&Role=1",
    "Value: {}.",
    "({})",
    "error:{};",
    "<{}>",
)


@given(
    st.sampled_from(_PEOPLE),
    st.sampled_from(_ESCAPES),
    st.sampled_from(_TEMPLATES),
    st.sampled_from(["{0}{1}", "{1}{0}", "{0} {1}", "{1}, {0}", "{0}.{1}", "{0}_{1}", "{0}&{1}", "{0}", "{1}"]),
)
def test_no_name_of_a_generated_person_is_left(
    person: object, escape: Callable[[str], str], template: str, form: str
) -> None:
    first, last = str(getattr(person, "given_names")), str(getattr(person, "family_name"))  # noqa: B009

    left = redact(template.format(escape(form.format(first, last))), {"FirstName": first, "LastName": last})

    names = {word for word in re.findall(r"[^\W_]+", _plain(f"{first} {last}")) if len(word) > 2}
    assert not names & set(re.findall(r"[^\W_]+", _plain(left))), left


_DATES: Final = (
    *("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%d %B %Y", "%d %b %y", "%B %d, %Y", "%Y%m%d", "%d%m%Y"),
    *("%d-%b-%Y", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M", "%d/%m/%Y 00:00:00", "%A, %d %B %Y", "%d%b%Y"),
)


@pytest.mark.parametrize(
    ("born", "text"),
    [
        ("2000-01-02", "2000/01/02 00:00"),
        ("2010-10-02", "2010-10-02 10:00"),
        ("2004-02-01", "2004.02.01 04:30:00"),
        ("2004-02-01", "1 Feb 2004 04:30"),
    ],
)
def test_hour_is_not_taken_for_the_year_of_a_date(born: str, text: str) -> None:
    left = redact(f"The DOB {text} is wrong", {"DOB": f"{born}T00:00:00.000Z"})
    assert born[:4] not in left


@given(st.dates(date(1930, 1, 1), date(2020, 12, 31)), st.sampled_from(_DATES), st.sampled_from(_ESCAPES[:-2]))
def test_no_date_of_birth_is_left(day: date, form: str, escape: Callable[[str], str]) -> None:
    left = redact(f"The DOB {escape(day.strftime(form))} is wrong", {"DOB": f"{day}T00:00:00.000Z"})

    digits = "".join(re.findall(r"\d", left)).removesuffix("0000")
    assert not digits.strip("0"), left
    assert f"{day:%B}" not in left


def _garbled(text: str) -> str:
    """The text as if it were in another encoding, where a letter outside ASCII is one to three others."""
    return re.sub("[^\x00-\x7f]+", "?", text.lower())


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in decomposed if not unicodedata.combining(each))
