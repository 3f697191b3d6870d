"""The benchmarks run, and what they say was measured was done; how long it took is no matter here."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store

from .__main__ import app
from .college import College
from .contenders import FETCHED, STORED, Hollow
from .growth import QUESTIONS, Size, read_in_rows, read_whole, statements_of
from .growth import fill as fill_store
from .learners import fill
from .racing import Entry, race

_ROWS = 500
_SEEN = {"poll": _ROWS, "diff": _ROWS, "plan": _ROWS, "page": FETCHED, "store": STORED, "send": 10}


@pytest.mark.slow
@pytest.mark.parametrize("make", ["sqlite", "postgresql"])
def test_all_is_measured_and_written_down(make: str, tmp_path: Path) -> None:
    written, readme = tmp_path / "benchmarks.json", tmp_path / "README.md"
    readme.write_text("before\n<!-- benchmarks begin -->\nold\n<!-- benchmarks end -->\nafter\n")

    arguments = ["--rows", str(_ROWS), "--databases", make, "--rounds", "1", "--calls", "10", "--peers-up-to", "0"]
    finished = CliRunner().invoke(app, [*arguments, "--json", str(written), "--markdown", str(readme)])

    assert finished.exit_code == 0, finished.output
    document = json.loads(written.read_text())
    assert document.keys() == {"date", "commit", "machine", "rounds", "sizes", "measured", "growth"}
    assert document["machine"].keys() == {"cpu", "cpus", "memory_gb", "system", "python"}
    ours = {each["measure"]: each for each in document["measured"] if not each["is_floor"]}
    assert {measure: each["seen"] for measure, each in ours.items()} == _SEEN
    for each in document["measured"]:
        assert each["median_seconds"] > 0
        assert each["ratio_low"] <= each["ratio"] <= each["ratio_high"]
        assert each["peak_mb"] > 0
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count("| syncd |") + text.count("| overview |") == len(_SEEN)


@pytest.mark.slow
def test_benchmark_that_has_not_seen_all_people_is_rejected(tmp_path: Path) -> None:
    college = College(tmp_path, f"sqlite:///{tmp_path / 'mis.db'}", f"sqlite:///{tmp_path / 'state.db'}").laid_out()
    fill(college.source, 20)
    with pytest.raises(Hollow, match="has seen 20 and not 21"):
        race([Entry("bare driver", "contenders.bare_driver", college, 21)], rounds=1)


@pytest.mark.slow
def test_a_host_of_two_customers_is_measured_and_written_down(tmp_path: Path) -> None:
    written = tmp_path / "host.json"
    size = {"customers": 2, "learners": 200, "poll_seconds": 2, "polls": 2, "takeovers": 1}

    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in size.items()]
    finished = CliRunner().invoke(app, ["host", *arguments, "--json", str(written)])

    assert finished.exit_code == 0, finished.output
    document = json.loads(written.read_text())
    assert document.keys() == {"date", "commit", "machine", "host", "load_before", "measured", "calculated"}
    assert document["host"] == size
    measured = document["measured"]
    for name in ("begun", "idle_cpu", "pss", "rest", "sending"):
        assert measured[name]["seen"] == 2, name
    assert measured["poll_takes"]["seen"] >= 2 * 2
    assert measured["takes_over"]["seen"] == 1
    for figure in measured.values():
        assert figure["lowest"] <= figure["median"] <= figure["highest"]
        assert figure["what"] in finished.output
    assert document["calculated"]["customers"] in finished.output


@pytest.mark.slow
def test_what_a_store_is_asked_again_and_again_is_found_by_an_index(postgres_url: str) -> None:
    store = Store(postgres_url, ValueCipher())
    store.upgrade()
    size = Size(accounts=1000, changes=2000, runs=1000)
    fill_store(postgres_url, size)
    for name, question in QUESTIONS.items():
        with statements_of(store) as made:
            assert question(store), name
        # Small tables are read as a whole whether there is an index or not, so that is forbidden.
        whole = read_whole(store, made, if_it_must=True)
        # Of approvals, each of which a person has given, there are never many.
        assert not {*whole} & {"account", "change", "run", "resync_request"}, name
    store.close()


@pytest.mark.slow
def test_what_is_counted_of_many_is_counted_by_an_index_alone(postgres_url: str) -> None:
    store = Store(postgres_url, ValueCipher())
    store.upgrade()
    fill_store(postgres_url, Size(accounts=1000, changes=2000, runs=1000))
    for name in ("status", "report of a month", "reads of a poll, accounts aside", "metrics"):
        with statements_of(store) as made:
            assert QUESTIONS[name](store), name
        # What is in doubt is counted too, but is never many.
        counts = [each for each in made if "count(*)" in each[0] and "GROUP BY" in each[0]]
        assert counts, name
        assert not {*read_in_rows(store, counts)} & {"account", "change"}, name
    store.close()
