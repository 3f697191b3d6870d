"""A OneFile that is in use already: who is there is linked, and nobody is made twice."""

import csv
import stat
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Exit, Syncd
from tests.support.provider.expected import Expected, expect
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_ACCOUNTS = 60
_WITHOUT_MISID = _ACCOUNTS // 2
_FIRST_ID = 700_000
_NO_ULN_YET = "9999999999"


@pytest.fixture
def owners(mis: Mis, onefile: OneFile) -> dict[int, str]:
    """Gives OneFile 60 of the college's learners, every other one without a MISID; whose account each UserID is."""
    people = [expect(learner, mis.college) for learner in mis.enrolled]
    fit = [one for one in people if one.held is None and "DOB" in one.fields and one.fields.get("ULN", "") > ""]
    owners: dict[int, str] = {}
    rows = []
    for number, one in enumerate(fit[:_ACCOUNTS]):
        rows.append({**_account(one, number), "ID": _FIRST_ID + number, "OrganisationID": onefile.organisation_id})
        owners[_FIRST_ID + number] = one.fields["MISID"]
    onefile.sow(*rows)
    return owners


def _account(one: Expected, number: int) -> dict[str, Any]:
    told = one.fields
    names = {name: told[name] for name in ("FirstName", "LastName")}
    if number % 2 == 0:
        return {"Role": 1, **names, "MISID": told["MISID"], "DefaultAssessorID": None}
    match number % 3:
        case 0:
            # typed in by hand at the college, on a keyboard without accents
            plain = {name: _plain(value).upper() for name, value in names.items()}
            return {"Role": 1, **plain, "DOB": told["DOB"], "Email": "x@elsewhere.example"}
        case 1:
            return {"Role": 1, **names, "LastName": "Maiden", "Email": told["Email"].upper(), "DOB": told["DOB"]}
        case _:
            uln = told["ULN"]
            return {"Role": 1, **names, "ULN": uln, **({"DOB": told["DOB"]} if uln == _NO_ULN_YET else {})}


def _plain(name: str) -> str:
    bare = unicodedata.normalize("NFKD", name.replace("Ł", "L")).encode("ascii", "ignore").decode()
    return bare.replace("-", " ").replace("'", "")


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def _say_yes_where_it_is_right(file: Path, owners: dict[int, str]) -> None:
    rows = _rows(file)
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "apply": "Yes" if owners[int(row["user_id"])] == row["misid"] else "No"})


def _mapping(syncd: Syncd) -> dict[str, int]:
    return {account["misid"]: account["user_id"] for account in syncd("accounts", "--json").json}


@pytest.mark.slow
def test_existing_accounts_are_linked_and_none_is_duplicated(
    mis: Mis, onefile: OneFile, syncd: Syncd, owners: dict[int, str]
) -> None:
    file = syncd.folder / "onefile-links.csv"
    everybody = {one.fields["MISID"] for one in (expect(each, mis.college) for each in mis.enrolled) if not one.held}

    found = syncd("link")
    assert found.exit == Exit.IN_STEP, found.stderr
    assert f"Linked by MISID: {_ACCOUNTS - _WITHOUT_MISID}." in found.stdout
    assert onefile.writes == []
    rows = _rows(file)
    assert {row["user_id"] for row in rows} == {str(user_id) for user_id in owners if user_id % 2}
    assert {row["reason"] for row in rows} == {"no MISID"}
    assert {row["confidence"] for row in rows} >= {"certain", "likely"}
    assert all("ULN" in row["agree"] and row["confidence"] == "certain" for row in rows if row["apply"])
    assert any(row["apply"] == "yes" for row in rows)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    _say_yes_where_it_is_right(file, owners)
    assert syncd("link", "--apply", file.name).exit == Exit.AWAITING_APPROVAL
    applied = syncd("link", "--apply", file.name, "--approve")
    assert applied.exit == Exit.IN_STEP, applied.stderr
    assert f"{_WITHOUT_MISID} linked" in applied.stdout
    assert [call.body for call in onefile.writes] == [{"MISID": owners[int(call.path[6:])]} for call in onefile.writes]

    with onefile.watched() as calls:
        done = syncd("sync", "--approve")
    assert done.exit == Exit.SOME_HELD, done.stderr
    writes = Counter(call.path for call in calls if call.is_write)
    assert writes.pop("/User") == len(everybody) - _ACCOUNTS
    assert writes == dict.fromkeys((f"/User/{user_id}" for user_id in owners), 1)
    assert Counter(onefile.misids) == Counter(everybody)

    before = _mapping(syncd)
    for remnant in syncd.folder.glob("state.db*"):
        remnant.unlink()
    file.unlink()
    with onefile.watched() as calls:
        assert syncd("link").exit == Exit.IN_STEP
        assert _mapping(syncd) == before
        assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    assert [call for call in calls if call.path == "/User"] == []
    assert Counter(onefile.misids) == Counter(everybody)
    assert not file.exists()

    _nothing_personal_was_said(mis, syncd)


def _nothing_personal_was_said(mis: Mis, syncd: Syncd) -> None:
    values = [
        value
        for one in (expect(learner, mis.college).fields for learner in mis.enrolled)
        for name in ("Email", "ULN", "DOB", "HomeAddress")
        if (value := one.get(name, "")[:10]) and value != _NO_ULN_YET
    ]
    names = [f"{learner.given_names} {learner.family_name}" for learner in mis.enrolled]
    said = [text for name, text in syncd.everything_said() if "link" in name or "sync" in name]
    assert len(said) >= 8
    assert [value for value in (*values, *names) if any(value in text for text in said)] == []


@pytest.mark.slow
@pytest.mark.usefixtures("owners")
def test_too_many_links_wait_until_a_person_approves(onefile: OneFile, syncd: Syncd, owners: dict[int, str]) -> None:
    syncd.configure(guard={"floor": 5})
    syncd("link", "--out", "mine.csv")
    _say_yes_where_it_is_right(syncd.folder / "mine.csv", owners)

    stopped = syncd("link", "--apply", "mine.csv")
    assert stopped.exit == Exit.AWAITING_APPROVAL, stopped.stderr
    assert onefile.writes == []

    assert syncd("approve").exit == Exit.IN_STEP
    assert syncd("link", "--apply", "mine.csv").exit == Exit.IN_STEP
    assert len(onefile.writes) == _WITHOUT_MISID


@pytest.mark.slow
@pytest.mark.usefixtures("owners")
def test_a_file_that_is_there_is_not_overwritten_and_onefile_is_not_asked(onefile: OneFile, syncd: Syncd) -> None:
    file = syncd.folder / "onefile-links.csv"
    file.write_text("a person's work", encoding="utf-8")

    refused = syncd("link")

    assert refused.exit == Exit.COULD_NOT_RUN
    assert "onefile-links.csv already exists and is not overwritten." in refused.stderr
    assert file.read_text(encoding="utf-8") == "a person's work"
    assert onefile.calls == []


_HEAD = "apply,role,misid,user_id\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (_HEAD + "yes,Learner,L1,1\nmaybe,Learner,L2,2\n", "links.csv, line 3, column apply: must be yes, no or empty"),
        (_HEAD + "X,Pupil,L1,1\n", "links.csv, line 2, column role: must be one of Learner, "),
        (_HEAD + "Y,learner,,1\n", "links.csv, line 2, column misid: must not be empty"),
        (_HEAD + "1,learner,L1,1e6\n", "links.csv, line 2, column user_id: must be a UserID"),
        (_HEAD + "1,learner,L1\n", "links.csv, line 2, column user_id: must be a UserID"),
        ("apply;role;misid;user_id\n", "links.csv, line 1: the column apply is missing"),
        (_HEAD + "yes,Learner,zz-nobody,700001\n", "links.csv, line 2, column misid: no feed has this MISID"),
        ("", "links.csv, line 1: the column apply is missing"),
        (None, "links.csv cannot be read: No such file or directory."),
    ],
)
@pytest.mark.usefixtures("owners")
def test_a_row_that_cannot_be_applied_is_named_and_nothing_is_changed(
    onefile: OneFile, syncd: Syncd, text: str | None, complaint: str
) -> None:
    if text is not None:
        (syncd.folder / "links.csv").write_text(text, encoding="utf-8")

    refused = syncd("link", "--apply", "links.csv")

    assert refused.exit == Exit.COULD_NOT_RUN
    assert complaint in refused.stderr
    assert onefile.writes == []


@pytest.mark.slow
def test_duplicates_are_listed_and_a_wrong_link_is_taken_back(
    onefile: OneFile, syncd: Syncd, owners: dict[int, str]
) -> None:
    double, wrong = owners[_FIRST_ID], owners[_FIRST_ID + 2]
    twin = {"ID": 800_000, "OrganisationID": onefile.organisation_id, "Role": 1, "MISID": double, "Archived": True}
    onefile.sow(twin)

    found = syncd("link")
    assert found.exit == Exit.IN_STEP
    assert f"MISID {double}: UserIDs {_FIRST_ID}, 800000" in found.stdout
    assert double not in _mapping(syncd)

    unlinked = syncd("unlink", wrong)
    assert unlinked.exit == Exit.IN_STEP, unlinked.stderr
    assert [(call.path, call.body) for call in onefile.writes] == [
        (f"/User/{_FIRST_ID + 2}", {"MISID": f"unlinked-{_FIRST_ID + 2}"})
    ]
    assert wrong not in _mapping(syncd)
    assert syncd("unlink", wrong).exit == Exit.COULD_NOT_RUN

    forgotten = owners[_FIRST_ID + 4]
    with onefile.watched() as calls:
        assert syncd("unlink", forgotten, "--forget").exit == Exit.IN_STEP
    assert calls == []
    assert forgotten not in _mapping(syncd)


@pytest.mark.slow
def test_a_spreadsheet_takes_nothing_in_the_file_for_a_formula(mis: Mis, onefile: OneFile, syncd: Syncd) -> None:
    somebody = next(one for one in mis.enrolled if "ULN" in expect(one, mis.college).fields)
    mis.correct(somebody.learn_ref_number, given_names="=HYPERLINK(1)", family_name="Unheard-of")
    onefile.sow(
        {
            "ID": _FIRST_ID,
            "OrganisationID": onefile.organisation_id,
            "Role": 1,
            "FirstName": "@Ann",
            "LastName": "Unheard of",
            "ULN": str(somebody.uln),
        }
    )
    assert syncd("link").exit == Exit.IN_STEP
    (row,) = _rows(syncd.folder / "onefile-links.csv")
    assert (row["name_in_mis"], row["name_in_onefile"]) == ("'=HYPERLINK(1) Unheard-of", "'@Ann Unheard of")
