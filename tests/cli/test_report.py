"""What a report says became of the changes."""

import json
from datetime import UTC, datetime

import pytest

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.run import Action, Outcome, Trigger
from syncd.demo.sample_college import ORGANISATION_ID
from syncd.state import changes, runs
from tests.support.sessions import session_on
from tests.support.stores import open_store

from .conftest import College, Syncd

_NOW = datetime.now(UTC)


def _record(college: College, *outcomes: Outcome) -> None:
    store = open_store(f"sqlite:///{college.folder / 'syncd.db'}")
    with store.begin() as connection:
        session = session_on(connection, ORGANISATION_ID, _NOW)
        run = runs.start(session, Trigger.COMMAND)
        for number, outcome in enumerate(outcomes):
            key = Key(ORGANISATION_ID, Role.LEARNER, f"L{number}")
            change = changes.record_intent(session, run, key, Action.UPDATE, {}, user_id=1, feed="", fingerprint="")
            if outcome is not Outcome.PENDING:
                changes.record_outcome(session, change, outcome)
    store.close()


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([Outcome.APPLIED, Outcome.ACCEPTED], "2 changes made, 0 refused or in doubt."),
        ([Outcome.APPLIED, Outcome.REFUSED], "1 change made, 1 refused or in doubt."),
        ([Outcome.IN_DOUBT, Outcome.PENDING], "0 changes made, 2 refused or in doubt."),
        ([Outcome.NOT_DONE, Outcome.NOT_DONE, Outcome.APPLIED], "1 change made, 0 refused or in doubt, 2 not done."),
        ([*Outcome], "2 changes made, 3 refused or in doubt, 1 not done."),
        ([], "0 changes made, 0 refused or in doubt."),
    ],
)
def test_report_counts_changes_that_were_not_sent_on_their_own(
    college: College, syncd: Syncd, outcomes: list[Outcome], said: str
) -> None:
    _record(college, *outcomes)

    text = syncd("report").stdout

    assert said in text
    parts = {part.partition("\n")[0]: part for part in text.split("\n\n")}
    assert ("not done" in parts["Refused by OneFile, or in doubt"]) is False
    assert ("There were none." in parts["Not done"]) is (Outcome.NOT_DONE not in outcomes)
    document = json.loads(syncd("report", "--json").stdout)
    assert sum(each["count"] for each in document["changes"]) == len(outcomes)
