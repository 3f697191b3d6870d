"""The examples that ``syncd init`` writes: they work as they stand, and say all there is to say."""

import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from pydantic import BaseModel

from syncd.core.fields import Role, columns_of
from syncd.core.records import Layout
from syncd.resources import shipped
from syncd.settings import Environment, FeedSettings, OneFileSettings, Section, Settings, load_settings
from tests.support.command import COMMAND, Exit, Finished

_FILES = {"syncd.toml", "learners.sql", "assessors.sql"}
#: Shown in the example, but not with what holds while they are left alone: nothing does, or another key excludes them.
_NOT_DEFAULTS = {"base_url", "query", "classroom_id", "placement_id", "assessor_id", "oracle_client", "proxy"}
_IMAGINED_MIS = """
CREATE TABLE learner (id, reference, forename, surname, email, date_of_birth, uln, mobile, telephone, employer_id);
CREATE TABLE enrolment (id, learner_id, course_id, status, starts_on, planned_end_on);
CREATE TABLE course (id, code, tutor_code);
CREATE TABLE employer (id, name);
CREATE TABLE tutor (code, forename, surname, email, telephone, is_assessor, left_on);
INSERT INTO learner VALUES (1, 'L1', 'A', 'B', 'a@b.example', '2007-05-31', '1000000001', '', NULL, NULL);
INSERT INTO enrolment VALUES (1, 1, 1, 'current', '2026-09-01', NULL), (2, 1, 1, 'current', '2026-10-01', NULL);
INSERT INTO course VALUES (1, 'C1', 'T1');
INSERT INTO tutor VALUES ('T1', 'C', 'D', 'c@d.example', NULL, 1, NULL);
"""


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.upper().startswith("SYNCD_")]:
        monkeypatch.delenv(variable)


@pytest.fixture
def mis() -> Iterator[sqlite3.Connection]:
    """The MIS that the example feeds imagine, with one learner and one tutor."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(_IMAGINED_MIS)
    yield connection
    connection.close()


def test_init_writes_the_examples_and_says_what_to_do_next(tmp_path: Path) -> None:
    written = _syncd(tmp_path, "init", "here")

    assert written.exit == Exit.IN_STEP, written
    assert {file.name for file in (tmp_path / "here").iterdir()} == _FILES
    for name in _FILES:
        assert (tmp_path / "here" / name).read_bytes() == _shipped(name).read_bytes()
    for word in (*_FILES, "source.url", "SYNCD_ONEFILE__CUSTOMER_TOKEN", "syncd plan", "syncd sync"):
        assert word in written.stdout


def test_init_writes_into_the_current_folder_when_none_is_named(tmp_path: Path) -> None:
    assert _syncd(tmp_path, "init").exit == Exit.IN_STEP
    assert {file.name for file in tmp_path.iterdir()} == _FILES


def test_what_init_writes_is_a_configuration_for_the_practice_environment(tmp_path: Path) -> None:
    _syncd(tmp_path, "init")

    settings = load_settings(tmp_path / "syncd.toml")

    assert settings.onefile.environment is Environment.PRACTICE
    assert [(feed.role, feed.query_file) for feed in settings.feeds] == [(Role.LEARNER, tmp_path / "learners.sql")]
    assert _syncd(tmp_path, "status").exit == Exit.IN_STEP


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "syncd.toml" else pytest.mark.slow) for name in sorted(_FILES)]
)
def test_init_writes_nothing_where_one_of_its_files_is(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")

    refused = _syncd(tmp_path, "init")

    assert refused.exit == Exit.COULD_NOT_RUN
    assert refused.stdout == ""
    assert name in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_init_says_so_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("mine")

    refused = _syncd(tmp_path, "init", "here")

    assert refused.exit == Exit.COULD_NOT_RUN
    assert refused.stderr.count("\n") == 1
    assert str(tmp_path / "here") in refused.stderr


def test_the_example_names_every_key_there_is() -> None:
    text = _shipped("syncd.toml").read_text(encoding="utf-8")
    shown = set(_keys_shown(text))
    for section, model in _sections():
        for key in model.model_fields:
            variable = f"SYNCD_{section}__{key}".upper()
            is_named_as_secret = key in model.SECRETS and re.search(rf"\b{variable}\b", text)
            assert (section, key) in shown or is_named_as_secret, f"config/syncd.toml does not name {section}.{key}"


def test_the_example_names_no_key_that_is_none() -> None:
    known = {(section, key) for section, model in _sections() for key in model.model_fields}
    assert set(_keys_shown(_shipped("syncd.toml").read_text(encoding="utf-8"))) <= known


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    text = _shipped("syncd.toml").read_text(encoding="utf-8")
    before_the_second_feed = text.partition("#[[feeds]]")[0]
    as_it_stands, spelt_out = tmp_path / "as it stands.toml", tmp_path / "spelt out.toml"
    as_it_stands.write_text(text, encoding="utf-8")
    spelt_out.write_text(re.sub(r"(?m)^#([a-z_]+) = .*$", _uncommented, before_the_second_feed), encoding="utf-8")

    assert spelt_out.read_text(encoding="utf-8").count("\n#calls_per_minute") == 0
    assert load_settings(spelt_out) == load_settings(as_it_stands)


def test_the_assessors_feed_can_be_switched_on(tmp_path: Path) -> None:
    one, mark, two = _shipped("syncd.toml").read_text(encoding="utf-8").partition("#[[feeds]]")
    (tmp_path / "syncd.toml").write_text(one + re.sub(r"(?m)^#", "", mark + two), encoding="utf-8")

    feeds = load_settings(tmp_path / "syncd.toml").feeds

    assert [(feed.role, feed.query_file) for feed in feeds] == [
        (Role.LEARNER, tmp_path / "learners.sql"),
        (Role.ASSESSOR, tmp_path / "assessors.sql"),
    ]


@pytest.mark.parametrize(("name", "role"), [("learners.sql", Role.LEARNER), ("assessors.sql", Role.ASSESSOR)])
def test_an_example_feed_is_a_query_that_gives_what_its_role_needs(
    name: str, role: Role, mis: sqlite3.Connection
) -> None:
    result = mis.execute(_shipped(name).read_text(encoding="utf-8"))
    layout = Layout.from_columns(role, name, [column[0] for column in result.description], 5740)
    rows = result.fetchall()
    assert len(rows) == 1
    assert not hasattr(layout.read(rows[0], 1), "reason"), "the one row of the imagined MIS is held"


def test_the_learners_feed_names_every_column_it_might_have() -> None:
    text = _shipped("learners.sql").read_text(encoding="utf-8")
    missing = [name for name in columns_of(Role.LEARNER).values() if not re.search(rf"\b{name}\b", text)]
    assert missing == []


def test_an_example_names_only_settings_and_commands_that_exist() -> None:
    names = [*sorted(_FILES), "syncd.service", "compose.yaml", "windows-service.md", "windows-service.xml"]
    text = "\n".join(_shipped(name).read_text(encoding="utf-8") for name in names)
    known = {f"SYNCD_{section}__{key}".upper() for section, model in _sections() for key in model.model_fields}
    known |= {"SYNCD_SECTION__KEY"}
    assert set(re.findall(r"\bSYNCD_[A-Z]+__[A-Z_]+", text)) <= known
    help_ = _syncd(Path(), "--help").stdout
    for command in set(re.findall(r"'syncd ([a-z]+)", text)):
        assert re.search(rf"(?m)^\W+{command} ", help_), f"there is no 'syncd {command}'"


def test_systemd_service_uses_credentials_and_lets_calls_finish() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(_shipped("syncd.service").read_text(encoding="utf-8"))
    service = unit["Service"]

    assert service["ExecStart"].endswith("/syncd run")
    assert service["ExecReload"] == "/bin/sh -c 'kill -HUP ${MAINPID}'"
    assert service["LoadCredential"].startswith("customer-token:")
    assert service["Environment"] == "SYNCD_ONEFILE__CUSTOMER_TOKEN_FILE=%d/customer-token"
    assert int(service["TimeoutStopSec"]) > OneFileSettings.model_fields["timeout_seconds"].default
    for key, value in {"DynamicUser": "yes", "ProtectSystem": "strict", "NoNewPrivileges": "yes"}.items():
        assert service[key] == value


def test_windows_service_uses_one_folder_and_lets_calls_finish() -> None:
    service = fromstring(_shipped("windows-service.xml").read_text(encoding="utf-8"))  # noqa: S314 - it is ours
    said = {each.tag: each.text for each in service}
    environment = {each.attrib["name"]: each.attrib["value"] for each in service.findall("env")}

    assert said["arguments"] == "run"
    assert str(said["executable"]).endswith(r"\syncd.exe")
    assert environment["SYNCD_CONFIG"] == rf"{said['workingdirectory']}\syncd.toml"
    assert int(str(said["stoptimeout"]).removesuffix(" sec")) > OneFileSettings.model_fields["timeout_seconds"].default


def _shipped(name: str) -> Path:
    return shipped("config") / name


def _sections() -> Iterator[tuple[str, type[Section]]]:
    for name, field in Settings.model_fields.items():
        model = FeedSettings if name == "feeds" else field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        assert issubclass(model, Section)
        yield name, model


def _keys_shown(text: str) -> Iterator[tuple[str, str]]:
    """Section and key of every line that sets one, or would without the '#' before it."""
    section = ""
    for line in text.splitlines():
        if header := re.fullmatch(r"#?\[+([a-z]+)\]+", line):
            section = header[1]
        elif key := re.match(r"#?([a-z_]+) = ", line):
            yield section, key[1]


def _uncommented(line: re.Match[str]) -> str:
    return line[0] if line[1] in _NOT_DEFAULTS or line[1].endswith("_file") else line[0].removeprefix("#")


def _syncd(folder: Path, *arguments: str) -> Finished:
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
