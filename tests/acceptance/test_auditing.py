"""What an auditor asks: what was done in a time, by whose leave, and who is held; never a value."""

import csv
import json
import re
import stat
from collections import Counter
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.run import Action, Outcome, RunState, Trigger
from syncd.state import approvals, changes, resync_requests, runs
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from tests.support.command import Exit, Syncd
from tests.support.provider.expected import sendable
from tests.support.provider.mis import Mis
from tests.support.provider.onefile import OneFile
from tests.support.sessions import session_on

pytestmark = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)

_ORGANISATION = 5740


@pytest.fixture
def store(syncd: Syncd) -> Store:
    """The store of that syncd."""
    store = Store(f"sqlite:///{syncd.folder / 'state.db'}", ValueCipher())
    store.upgrade()
    return store


def _change(store: Store, at: datetime, misid: str, message: str = "", user_id: int = 7) -> None:
    with store.begin() as connection:
        number = changes.record_intent(
            session_on(connection, at=at, cipher=store.cipher),
            runs.start(session_on(connection, _ORGANISATION, at), Trigger.COMMAND),
            Key(_ORGANISATION, Role.LEARNER, misid),
            Action.UPDATE,
            {"LastName": "Ó Súilleabháin", "Email": "ann@college.example"},
            user_id=user_id,
            feed="learners",
            fingerprint="",
        )
        outcome = Outcome.REFUSED if message else Outcome.APPLIED
        changes.record_outcome(
            session_on(connection, at=at), number, outcome, http_status=400 if message else 204, message=message
        )


def test_history_of_all_records_covers_whole_days_in_london(syncd: Syncd, store: Store) -> None:
    for misid, at in (
        ("L1", datetime(2026, 6, 30, 22, 59, tzinfo=UTC)),
        ("L2", datetime(2026, 6, 30, 23, 0, tzinfo=UTC)),
        ("L3", datetime(2026, 7, 1, 22, 59, tzinfo=UTC)),
        ("L4", datetime(2026, 7, 1, 23, 0, tzinfo=UTC)),
    ):
        _change(store, at, misid)

    one_day = syncd("history", "--since", "2026-07-01", "--until", "2026-07-01", "--json")
    all_since = syncd("history", "--since", "2026-07-01")

    assert [one["misid"] for one in one_day.json] == ["L2", "L3"]
    assert one_day.json[0] == {
        "organisation_id": _ORGANISATION,
        "role": "Learner",
        "misid": "L2",
        "user_id": 7,
        "run": 2,
        "at": "2026-06-30T23:00:00.000Z",
        "action": "update",
        "fields": ["Email", "LastName"],
        "outcome": "applied",
        "attempts": 1,
        "http_status": 204,
        "detail": "",
    }
    heading, *lines = all_since.stdout.splitlines()
    assert heading.split() == ["run", "when", "role", "MISID", "action", "outcome", "fields"]
    assert [re.findall(r"\bL[0-9]\b", line) for line in lines] == [["L2"], ["L3"], ["L4"]]


@pytest.mark.slow
def test_the_history_of_one_person_is_what_it_was_and_may_be_of_a_time(syncd: Syncd, store: Store) -> None:
    long_ago, lately = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) - timedelta(days=6)
    for at in (long_ago, lately):
        _change(store, at, "L1")
        # The history of a MISID is that of its accounts.
        _change(store, at, "L2", user_id=8)

    ever, this_week = syncd("history", "L1", "--json").json, syncd("history", "L1", "--since", "7d", "--json").json

    names = {"run", "at", "action", "fields", "outcome", "attempts", "http_status", "detail", "misid", "user_id"}
    assert [one.keys() for one in ever] == [names, names]
    assert this_week == ever[1:]
    assert syncd("history", "nobody", "--json").stdout == "[]\n"


@pytest.mark.slow
def test_a_spreadsheet_takes_nothing_in_the_history_for_a_formula(syncd: Syncd, store: Store) -> None:
    for misid in ("=1+1", "+1", "-1", "@L1", "L-1"):
        _change(store, datetime.now(UTC), misid, "=HYPERLINK(0)")

    rows = list(csv.DictReader(StringIO(syncd("history", "--since", "1h", "--csv").stdout)))

    assert [row["misid"] for row in rows] == ["'=1+1", "'+1", "'-1", "'@L1", "L-1"]
    assert {(row["detail"], row["fields"], row["http_status"]) for row in rows} == {
        ("'=HYPERLINK(0)", "Email LastName", "400")
    }


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("history",), "MISID"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (
                (("history", "--since", "yesterday"), "2026-11-25"),
                (("history", "--until", "7d"), "--since"),
                (("history", "--since", "99999d"), ""),
                (("history", "--since", "2026-02-30"), "2026-11-25"),
                (("history", "--since", "2026-11-25", "--until", "2026-11-24"), "before"),
                (("history", "--since", "7d", "--csv", "--json"), "--json"),
                (("report", "--since", ""), ""),
                (("report", "--html", "page.html", "--json"), "--json"),
            )
        ),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_a_time_that_is_none_is_wrong_usage(syncd: Syncd, arguments: tuple[str, ...], word: str) -> None:
    wrong = syncd(*arguments)
    if not word:
        assert wrong.exit == Exit.IN_STEP, wrong.stderr
        return
    assert wrong.exit == Exit.WRONG_USAGE
    assert word in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert not (syncd.folder / "page.html").exists()


@pytest.fixture
def lived(mis: Mis, onefile: OneFile, syncd: Syncd, store: Store) -> Syncd:
    """A syncd whose first run was approved; then somebody was changed, here and in OneFile."""
    assert syncd("sync", "--approve").exit == Exit.SOME_HELD
    somebody, other = onefile.misids[0] or "", onefile.misids[1] or ""
    mis.correct(somebody, family_name="Blodeuwedd")
    assert syncd("sync").exit == Exit.SOME_HELD
    onefile.learner(other).values["FirstName"] = "Edited by hand"
    assert syncd("verify").exit == 4
    with store.begin() as connection:
        stopped = runs.start(session_on(connection, _ORGANISATION, datetime.now(UTC)), Trigger.COMMAND)
        runs.finish(session_on(connection, at=datetime.now(UTC)), stopped, RunState.AWAITING_APPROVAL)
        approvals.reject(session_on(connection, _ORGANISATION), stopped, "sam")
        request = resync_requests.add(session_on(connection, _ORGANISATION, datetime.now(UTC)), "alex", [somebody])
        resync_requests.record_answer(session_on(connection), [request], 2)
    return syncd


@pytest.mark.slow
def test_report_lists_runs_changes_approvals_rejections_and_requests(lived: Syncd, mis: Mis, onefile: OneFile) -> None:
    told = lived("report", "--since", "1h", "--json").json

    assert Counter({(one["trigger"], one["state"]): one["count"] for one in told["runs"]}) == {
        ("command", "finished"): 2,
        ("command", "rejected"): 1,
        ("verify", "finished"): 1,
    }
    assert told["calls"] == len(onefile.calls)
    ((run, creates),) = ((one["run"], one["creates"]) for one in told["approvals"])
    assert (run, creates) == (1, len(sendable(mis)))
    assert [one["by"] for one in told["rejections"]] == ["sam"]
    ((by, people, answer),) = ((one["by"], one["people"], one["run"]) for one in told["requests"])
    assert (by, people, answer) == ("alex", 1, 2)
    assert told["changes"] == [
        {"role": "Learner", "action": "create", "outcome": "applied", "count": len(sendable(mis))},
        {"role": "Learner", "action": "update", "outcome": "applied", "count": 1},
    ]
    assert [one["accounts"] for one in told["drift"]] == [1]
    held = lived("held", "--json").json
    assert Counter({one["reason"]: one["count"] for one in told["held"]}) == Counter(one["reason"] for one in held)
    assert (told["accounts"], told["in_doubt"], told["is_whole"]) == ({"Learner": len(onefile.learners)}, 0, True)
    assert lived("report", "--since", "500d", "--json").json["is_whole"] is False
    page = lived("report")
    assert page.stdout.count("alex") == 1
    earlier = lived("report", "--since", "2026-01-01", "--until", "2026-01-02", "--json").json
    assert (earlier["runs"], earlier["changes"], earlier["approvals"], earlier["calls"]) == ([], [], [], 0)


@pytest.mark.slow
def test_a_report_names_misids_only_where_it_is_asked_to_and_never_a_value(
    lived: Syncd, mis: Mis, onefile: OneFile
) -> None:
    page = lived.folder / "report.html"
    assert lived("report", "--details", "--html", page.name).exit == Exit.IN_STEP
    with_misids = (page.read_text(encoding="utf-8"), json.dumps(lived("report", "--details", "--json").json))
    without = (lived("report").stdout, json.dumps(lived("report", "--json").json))

    held = {one["misid"] for one in lived("held", "--json").json}
    misids = {*sendable(mis), *held}
    values = {str(value) for user in onefile.learners for value in user.values.values() if len(str(value)) > 4} - misids
    assert "Blodeuwedd" in values
    for each in (*without, *with_misids):
        assert [value for value in values if re.search(rf"\b{re.escape(value)}\b", each)] == []
    for each in without:
        assert [misid for misid in misids if misid in each] == []
    for each in with_misids:
        assert [misid for misid in misids if misid not in each] == []


def test_html_report_is_self_contained_and_accessible(syncd: Syncd, store: Store) -> None:
    _change(store, datetime.now(UTC), "<script>L1</script>")
    page = syncd.folder / "page.html"
    said = syncd("report", "--details", "--html", page.name)
    assert said.exit == Exit.IN_STEP, said.stderr
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    again = syncd("report", "--html", page.name)

    assert again.exit == Exit.COULD_NOT_RUN
    assert again.stderr == "page.html already exists and is not overwritten. Name another file.\n"
    read = _Page()
    read.feed(page.read_text(encoding="utf-8"))
    assert read.open == []
    assert {"html", "main", "h1", "h2", "table", "th", "title"} <= read.attributes.keys()
    assert [one["lang"] for one in read.attributes["html"]] == ["en-GB"]
    assert all(one.get("scope") == "col" for one in read.attributes["th"])
    ids = [one["id"] for tag in read.attributes.values() for one in tag if "id" in one]
    labels = [one["aria-labelledby"] for tag in read.attributes.values() for one in tag if "aria-labelledby" in one]
    assert len(ids) == len(set(ids))
    assert set(labels) == set(ids)
    for tag in ("script", "link", "img", "iframe"):
        assert tag not in read.attributes
    text = page.read_text(encoding="utf-8")
    assert "http" not in text
    # Nothing that OneFile or the MIS says becomes a part of the page.
    assert "&lt;script&gt;L1&lt;/script&gt;" in text


class _Page(HTMLParser):
    """What a page is made of: the attributes of its tags, and those that were left open."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: dict[str, list[dict[str, Any]]] = {}
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.setdefault(tag, []).append(dict(attrs))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.slow
def test_a_report_of_nothing_says_so(syncd: Syncd) -> None:
    said = syncd("report")
    assert said.exit == Exit.IN_STEP, said.stderr
    for sentence in ("There were no runs.", "There were no changes.", "No records are held.", "Not checked"):
        assert sentence in said.stdout
    assert not Path(syncd.folder, "state.db").exists()
