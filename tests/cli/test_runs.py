"""The command runs: what was done, run by run."""

import csv
import json
from io import StringIO

import pytest

from .conftest import College, Syncd


@pytest.fixture
def ran(college: College, syncd: Syncd) -> Syncd:
    """A command line with a first run, and one that found nothing to send."""
    assert syncd("sync", "--approve").exit in {0, 4}
    assert syncd("sync").exit in {0, 4}
    return syncd


def test_quiet_runs_are_listed_only_with_all(ran: Syncd) -> None:
    listed = json.loads(ran("runs", "--json").stdout)
    everything = json.loads(ran("runs", "--all", "--json").stdout)

    assert [each["run"] for each in listed] == [1]
    assert [each["run"] for each in everything] == [2, 1]
    assert everything[0].keys() == listed[0].keys()
    assert [each["run"] for each in json.loads(ran("runs", "--all", "--limit", "1", "--json").stdout)] == [2]


def test_table_and_csv_show_the_runs_of_the_json(ran: Syncd) -> None:
    (run,) = json.loads(ran("runs", "--json").stdout)
    (row,) = csv.DictReader(StringIO(ran("runs", "--csv").stdout))
    (heading, line) = ran("runs").stdout.splitlines()

    assert row == {name: "" if value is None else str(value) for name, value in run.items()}
    assert heading.split()[:4] == ["run", "started", "trigger", "state"]
    assert line.split()[0] == "1"
    assert str(run["applied"]) in line.split()


def test_one_run_is_shown_with_the_changes_it_sent(ran: Syncd) -> None:
    run = json.loads(ran("runs", "1", "--json").stdout)
    text = ran("runs", "1").stdout

    assert sum(sum(by.values()) for by in run["changes"].values()) == run["applied"]
    assert "trigger:       command" in text
    assert f"create  applied  {run['changes']['create']['applied']}" in text
    assert "It has sent no changes." in ran("runs", "2").stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("77",), 1, "There is no run 77; 'syncd runs --all' lists the newest."),
        (("0",), 2, "greater than or equal to 1"),
        (("9" * 30,), 2, "less than or equal to 2147483647"),
        (("--json", "--csv"), 2, "cannot be combined with --json"),
        (("--limit", "0"), 2, "greater than or equal to 1"),
    ],
)
@pytest.mark.usefixtures("college")
def test_wrong_arguments_are_refused_in_words(
    syncd: Syncd, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    answer = syncd("runs", *arguments)
    assert answer.exit == exit_code
    assert said in answer.words


@pytest.mark.usefixtures("college")
def test_without_a_store_there_are_no_runs(syncd: Syncd) -> None:
    answer = syncd("runs", "--all")
    assert answer.exit == 0
    assert "There are no runs yet." in answer.stdout
