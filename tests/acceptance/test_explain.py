"""The day someone asks why a learner has no account."""

import re
from collections.abc import Iterator
from dataclasses import astuple, replace

import pytest

from tests.support.command import Exit, Finished, Syncd
from tests.support.provider.generator import made_up_learners
from tests.support.provider.ilr import Learner
from tests.support.provider.mis import FEED, Mis
from tests.support.provider.onefile import OneFile

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_CLOSED_PORT = "127.0.0.1:1"
_SHORTEST = 8
"""Anything shorter may be said by chance."""


@pytest.fixture
def learners() -> list[Learner]:
    """People of whom nothing could be said by chance, and whose dirt stays."""
    return [
        replace(
            learner,
            family_name=f"Zz-Surname-{number:04}",
            given_names=f"Zz-Forename-{number:04}",
            email=learner.email and learner.email.replace("learner", "zz-mail-"),
            ethnicity=f"zz-ethnicity-{number:04}",
            address=(f"{number:04} Zz-Street",),
            tel_no=f"07{number:09}",
        )
        for number, learner in enumerate(made_up_learners())
    ]


def _personal(*learners: Learner) -> Iterator[str]:
    for learner in learners:
        others = replace(learner, learn_ref_number="", deliveries=(), employments=())
        values = (text for value in astuple(others) for text in (value if isinstance(value, tuple) else (str(value),)))
        yield from (text for text in values if len(text) >= _SHORTEST and text != "9999999999")


def _assert_it_gives_nobody_away(learners: list[Learner], *finished: Finished) -> None:
    for one in finished:
        assert one.exit == Exit.IN_STEP, one.stderr
        assert [value for value in _personal(*learners) if value in one.stdout + one.stderr] == []


@pytest.mark.slow
def test_explain_says_why_a_learner_is_held_and_writes_nothing(
    learners: list[Learner], mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    for held in syncd("held", "--json").json:
        with onefile.watched() as calls:
            for_people, for_programs = syncd("explain", held["misid"]), syncd("explain", held["misid"], "--json")

        assert not any(call.is_write for call in calls)
        assert for_people.stdout.startswith(f"Learner {held['misid']} is held: {held['detail']}.\n")
        assert "account:       none in the state store" in for_people.stdout
        (record,) = for_programs.json["records"]
        assert (record["decision"], record["calls"], record["account"]) == ("held", [], None)
        assert [one["detail"] for one in record["held"]] == [held["detail"]]
        assert record["held"][0]["since"] == held["first_seen_at"]
        _assert_it_gives_nobody_away(learners, for_people, for_programs)


@pytest.mark.slow
def test_explain_shows_create_as_then_sent_and_update_values_on_request(
    learners: list[Learner], mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    somebody = mis.enrolled[0]
    misid = somebody.learn_ref_number
    before_any_run = syncd("explain", misid, "--json")
    (call,) = before_any_run.json["records"][0]["calls"]
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    created = next(one for one in onefile.writes if one.body and one.body.get("MISID") == misid)
    assert (call["method"], call["path"], call["fields"]) == ("POST", created.path, list(created.body or {}))

    mis.correct(misid, family_name="Zz-New-Surname")
    told, values = syncd("explain", misid), syncd("explain", misid, "--values")

    user_id = onefile.learner(misid).id
    assert told.stdout.startswith(f"Learner {misid} would be updated: LastName.\n")
    assert f"call:          POST /User/{user_id} with LastName\n" in told.stdout
    assert f"account:       UserID {user_id}, active, last synced" in told.stdout
    assert "last accepted:" in told.stdout
    assert "ClassroomMISID" in told.stdout
    _assert_it_gives_nobody_away([*learners, replace(somebody, family_name="Zz-New-Surname")], told, before_any_run)
    # Only who asks for values sees them, and only where they asked.
    assert f'POST /User/{user_id} with LastName "Zz-New-Surname"\n' in values.stdout
    assert f'"{somebody.family_name}"' in values.stdout
    assert [value for value in _personal(*learners) if value in values.stderr] == []


@pytest.mark.slow
def test_values_are_in_the_document_only_when_asked_for(
    learners: list[Learner], mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    warned = next(one for one in mis.enrolled if one.date_of_birth == "31/02/1999")
    (plain,) = syncd("explain", warned.learn_ref_number, "--json").json["records"]
    (shown,) = syncd("explain", warned.learn_ref_number, "--json", "--values").json["records"]

    (column,) = (one for one in plain["rows"][0]["columns"] if one["column"] == "DOB")
    assert column == {
        "column": "DOB",
        "field": "DOB",
        "read": "left out: is not an ISO 8601 date",
        "sent": False,
        "difference": "",
    }
    (column,) = (one for one in shown["rows"][0]["columns"] if one["column"] == "DOB")
    assert column["value"] == "31/02/1999"
    assert shown["calls"][0]["values"]["LastName"] == warned.family_name
    assert "values" not in plain["calls"][0]


@pytest.mark.slow
def test_the_document_is_described_by_the_help(
    learners: list[Learner], mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    document = syncd("explain", onefile.misids[0] or "", "--json", "--values").json
    (record,) = document["records"]
    names = [*document, *record, *record["rows"][0], *record["rows"][0]["columns"][0], *record["account"]]

    described = set(re.findall(r"\w+", syncd("explain", "--help").stdout))

    assert set(names) | set(record["last_change"]) <= described


@pytest.mark.slow
def test_explain_describes_a_leaver_and_an_unknown_misid(
    learners: list[Learner], mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    leaver = onefile.misids[0] or ""
    mis.withdraw(leaver)
    assert syncd("sync").exit == Exit.SOME_HELD

    gone, nobody = syncd("explain", leaver), syncd("explain", "NOBODY")

    assert gone.stdout.startswith(f"Learner {leaver} is a leaver: no feed has a row with this MISID")
    assert 'leavers.action is "report"' in gone.stdout
    assert f"UserID {onefile.learner(leaver).id}, leaver" in gone.stdout
    assert nobody.stdout.startswith("The feed has no row with the MISID NOBODY, and syncd has no account for it")
    assert nobody.exit == Exit.IN_STEP
    another = next(one.learn_ref_number for one in mis.enrolled if not one.learn_ref_number.startswith("0"))
    assert f"Did you mean {another}?" in syncd("explain", f"00{another.lower()}").stdout
    assert syncd("explain", "NOBODY", "--json").json["records"] == []
    _assert_it_gives_nobody_away(learners, gone, nobody)


@pytest.mark.slow
def test_what_keeps_it_from_explaining_is_said_in_a_sentence(
    learners: list[Learner], mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    assert syncd("explain").exit == Exit.WRONG_USAGE
    assert syncd("explain", "  ").exit == Exit.WRONG_USAGE
    assert syncd("explain", "L1", "--organisation", "1").exit == Exit.WRONG_USAGE
    syncd.write_feed(FEED.replace("AS LastName", "AS LastNam"))
    misspelt = syncd("explain", "L1")
    syncd.write_feed(FEED)
    syncd.configure(onefile={"base_url": f"http://{_CLOSED_PORT}/api/v2.1"})
    unreachable = syncd("explain", mis.enrolled[0].learn_ref_number)

    for finished, words in ((misspelt, "did you mean LastName?"), (unreachable, "OneFile at 127.0.0.1")):
        assert (finished.exit, finished.stdout) == (Exit.COULD_NOT_RUN, "")
        assert words in finished.stderr
        assert "Traceback" not in finished.stderr
