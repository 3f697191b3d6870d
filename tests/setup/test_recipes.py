"""Every recipe that can be run is run, and what is written of one is a configuration."""

import re
import runpy
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from syncd.cli.init.recipes import recipes
from syncd.core.fields import Role, columns_of
from syncd.core.records import Layout, Record
from syncd.errors import ConfigurationError
from syncd.mis import Mis
from syncd.resources import shipped
from syncd.settings import load_settings
from syncd.simulator import Simulator
from tests.support.provider.generator import made_up_learners
from tests.support.provider.ilr import Learner, real_return

from .ilr_tables import fill
from .office import Office

_RECIPES = {one.name: one for one in recipes()}


@pytest.mark.parametrize("name", _RECIPES)
def test_a_recipe_is_written_and_never_over_anything(name: str, office: Office) -> None:
    said = office.init("--recipe", name, "--organisation", "5740")

    settings = load_settings(office.folder / "syncd.toml")
    assert settings.onefile.organisation_id == 5740
    assert [(feed.name, feed.role) for feed in settings.feeds] == [("learners", Role.LEARNER)]
    written = {file.name: file.read_bytes() for file in office.folder.iterdir()}
    assert {name: content for name, content in written.items() if name != "syncd.toml"} == _RECIPES[name].files
    for left in _RECIPES[name].left:
        assert left in said
    with pytest.raises(ConfigurationError, match="Nothing was written"):
        office.init("--recipe", name)
    assert {file.name: file.read_bytes() for file in office.folder.iterdir()} == written


def test_the_recipes_are_listed_and_a_misspelt_one_gets_the_nearest(office: Office) -> None:
    said = office.init("--list-recipes")
    readme = (shipped("config") / "recipes" / "README.md").read_text(encoding="utf-8")
    for name, one in _RECIPES.items():
        assert name in said
        assert one.title in said
        assert f"[`{name}`]({name}/learners.sql)" in readme
    assert not office.folder.exists()
    with pytest.raises(ConfigurationError, match="did you mean 'ilr'"):
        office.init("--recipe", "irl")


_ILR = ["sqlite_url", pytest.param("mariadb_url", marks=[pytest.mark.mariadb, pytest.mark.shared_data])]


@pytest.mark.parametrize("url", _ILR)
def test_the_ilr_recipe_gives_each_learner_once_and_doctor_accepts_it(
    url: str, office: Office, onefile: Simulator, request: pytest.FixtureRequest
) -> None:
    mis_url = request.getfixturevalue(url)
    learners = real_return() if url == "mariadb_url" else made_up_learners()
    engine = create_engine(mis_url)
    fill(engine, learners)
    engine.dispose()
    defaults = ("classroom_name=Induction", "placement_name=Default Placement", "assessor_misid=T1")

    office.init(
        *("--recipe", "ilr", "--database", mis_url, "--base-url", onefile.base_url),
        *(f"--default={default}" for default in defaults),
    )

    assert office.failed() == []
    rows = {row["MISID"]: row for row in _rows(office, mis_url)}
    assert rows.keys() == {learner.learn_ref_number for learner in learners if learner.deliveries}
    for learner in learners:
        row, aim = rows[learner.learn_ref_number], _main_aim(learner)
        assert (str(row["StartOn"]), str(row["PlannedEndDate"])) == tuple(map(str, aim))
        newest = max(learner.employments, key=lambda spell: spell.date_emp_stat_app, default=None)
        assert row["PlacementMISID"] == (newest and newest.emp_id)
    found = office.doctor()["feed learners"].found
    assert found.startswith(f"{len(rows)} rows; ")
    assert ("none would be held" in found) is (url == "mariadb_url")


def _main_aim(learner: Learner) -> tuple[object, object]:
    aim = min(
        learner.deliveries,
        key=lambda one: (one.aim_type != 1, -one.learn_start_date.toordinal(), one.aim_seq_number),
    )
    return aim.learn_start_date, aim.learn_plan_end_date


def test_the_csv_recipe_runs_on_its_own_example(office: Office, onefile: Simulator) -> None:
    office.init("--recipe", "csv", "--base-url", onefile.base_url)
    assert _load(office, "learners.example.csv") == "mis.db has 3 rows of learners.example.csv.\n"

    assert office.failed() == []
    layout = Layout.from_columns(Role.LEARNER, "learners", list(columns := _columns(office)), 5740)
    with closing(sqlite3.connect(office.folder / "mis.db")) as connection:
        rows = connection.execute(office.written("learners.sql")).fetchall()
    records = [layout.read(row, number) for number, row in enumerate(rows, start=1)]
    assert [record.key.misid for record in records if isinstance(record, Record)] == ["L2001", "L2002"]
    first = records[0]
    assert isinstance(first, Record)
    assert first.warnings == ()
    assert first.fields["DOB"] == "2007-05-31T00:00:00.000Z"
    assert "PlacementName" in columns


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "its first line"),
        ("a,b\n", "it has no rows"),
        ("a,A\n1,2\n", "its first line"),
        ("a,b\n1,2\n3\n", "row 2 has 1 values"),
        ("a,b\n\xe9,2\n", "not UTF-8"),
    ],
)
def test_a_csv_file_that_is_not_to_be_used_replaces_nothing(content: str, said: str, tmp_path: Path) -> None:
    loader = runpy.run_path(str(shipped("config") / "recipes" / "csv" / "load_csv.py"))
    file, database = tmp_path / "learners.csv", tmp_path / "mis.db"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    assert loader["main"]([str(file), str(database)]) == 0
    file.write_text(content, encoding="latin-1")

    assert loader["main"]([str(file), str(database)]) == 1

    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT * FROM learners").fetchall() == [("1", "2")]
    if said != "not UTF-8":
        with pytest.raises(ValueError, match=said):
            loader["load"](file, database)


def test_the_template_is_a_query_and_says_that_it_was_not_tried(office: Office) -> None:
    office.init("--recipe", "other")
    sql = office.written("learners.sql")
    assert "NOT TRIED ON ANY PRODUCT" in sql
    with closing(sqlite3.connect(":memory:")) as connection:
        needed = sorted(set(re.findall(r"^\s+onefile_learners\.(\w+)", sql, re.MULTILINE)))
        connection.execute(f"CREATE TABLE onefile_learners ({', '.join(needed)})")
        columns = [column[0] for column in connection.execute(sql).description]
    Layout.from_columns(Role.LEARNER, "learners", columns, 5740)


def _columns(office: Office) -> list[str]:
    with closing(sqlite3.connect(office.folder / "mis.db")) as connection:
        return [column[0] for column in connection.execute(office.written("learners.sql")).description]


def _load(office: Office, name: str) -> str:
    """As somebody calls it who has nothing but Python."""
    done = subprocess.run(
        [sys.executable, "-I", "load_csv.py", name],
        cwd=office.folder,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


def _rows(office: Office, mis_url: str) -> list[dict[str, object]]:
    with Mis(mis_url).read("learners", office.written("learners.sql")) as read:
        names = [columns_of(Role.LEARNER)[column.lower()] for column in read.columns]
        return [dict(zip(names, row, strict=True)) for row in read.stream]
