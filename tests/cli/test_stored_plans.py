"""plan RUN and approve with its options, as an operator types them."""

import csv
import io
import json

from .conftest import College, Syncd


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_plan_of_a_stopped_run_is_shown_as_text_json_csv_and_page(college: College, syncd: Syncd) -> None:
    assert syncd("sync").exit == 3
    said = syncd("plan", "1").stdout
    assert said.startswith("Run 1 of ")
    assert "is awaiting approval: it is the first run to create accounts in this organisation (61 creates)." in said
    assert "61 waiting for a decision." in said
    assert "'syncd plan 1 --csv' lists every change." in said

    document = json.loads(syncd("plan", "1", "--json").stdout)
    assert list(document) == ["run", "organisation_id", "state", "reason", "steps"]
    assert len(document["steps"]) == 61
    assert document["steps"][0].keys() == {
        *("action", "role", "misid", "other_misid", "fields", "decision", "outcome"),
    }

    stored, made = syncd("plan", "1", "--csv").stdout, syncd("plan", "--csv").stdout
    assert len({row["misid"] for row in _rows(stored)}) == 61
    assert stored == made
    values = _rows(syncd("plan", "1", "--csv", "--values").stdout)
    assert values == _rows(syncd("plan", "--csv", "--values").stdout)
    assert {"value_now", "value_to_send"} <= values[0].keys()

    assert syncd("plan", "1", "--html", "plan.html").exit == 0
    page = (college.folder / "plan.html").read_text(encoding="utf-8")
    assert all(step["misid"] in page for step in document["steps"])
    assert page.count("<details>") == page.count("</details>") > 0
    assert "covers exactly the changes" in page


def test_page_of_a_new_plan_has_every_change(college: College, syncd: Syncd) -> None:
    assert syncd("plan", "--html", "plan.html").exit == 0
    page = (college.folder / "plan.html").read_text(encoding="utf-8")
    assert all(row["misid"] in page for row in _rows(syncd("plan", "--csv").stdout))


def test_run_without_plan_is_said_in_a_sentence(college: College, syncd: Syncd) -> None:
    assert "There is no run 9; " in syncd("plan", "9").stderr
    assert syncd("plan", "9").exit == 1
    assert syncd("plan", "1", "--misid", "L1").exit == 2
    assert syncd("plan", "--csv", "--json").exit == 2
    syncd("sync", "--approve")
    syncd("sync")
    assert "has no stored plan" in syncd("plan", "2").stderr


def test_part_is_approved_and_the_rest_rejected_with_reasons(college: College, syncd: Syncd) -> None:
    syncd("sync")
    said = syncd("approve", "--only", "creates", "--field", "dob", "--reason", "known to us")
    assert said.exit == 0
    assert "creates, within 24 hours." in said.stdout
    assert "still wait: approve or reject them as well." in said.stdout
    done = syncd("sync")
    assert done.exit == 3
    assert "waiting for 'syncd approve' or 'syncd reject'" in done.stdout
    assert syncd("approve", "--field", "nonsense").exit == 2
    refused = syncd("approve", "--only", "leavers")
    assert (refused.exit, refused.stderr) == (1, "Run 1 has no step of this kind that waits for a decision.\n")
    said = syncd("reject", "--reason", "last year's")
    assert "will not be sent." in said.stdout
    assert "not planned again until their records change" in said.stdout
    shown = syncd("plan", "1").stdout
    assert "(only creates, DOB): known to us." in shown
    assert ": last year's." in shown
    assert syncd("sync").exit == 4
    held = json.loads(syncd("held", "--reason", "rejected", "--json").stdout)
    assert held
    assert "The next run retries 1 held record" in syncd("retry", held[0]["misid"]).stdout
    assert len(_rows(syncd("plan", "--csv").stdout)) > 0
