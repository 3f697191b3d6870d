"""What ``init`` asks, what it takes from flags and the environment, and what it never writes down."""

import os
import pty
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Inspector, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from syncd.cli.init import command
from syncd.demo.data_defects import Dirt, Size
from syncd.demo.generator import Generated, generate
from syncd.demo.mis_database import College
from syncd.demo.mis_schema import LEARNER
from syncd.errors import ConfigurationError, MisUnreachable, SyncdError
from syncd.settings import Environment, load_settings
from syncd.simulator import LimiterShape, Simulator, Switches
from tests.support.command import COMMAND

from .office import Office

_SECRET = "hunter2-жщыю"
_SIZE = Size(centres=1, placements=3, classes=3, staff=12, employers=2, observers=0, learners=6)


@pytest.fixture
def mis(tmp_path: Path) -> Path:
    """The file of an MIS."""
    College(f"sqlite:///{tmp_path / 'mis.db'}", _generated())
    return tmp_path / "mis.db"


@pytest.fixture
def _at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "is_terminal", lambda: True)


@pytest.mark.usefixtures("_at_a_terminal")
def test_init_asks_all_questions_and_accepts_corrected_proposals(office: Office, mis: Path, onefile: Simulator) -> None:
    answers = (
        str(mis),
        "learnr",  # is told the nearest
        "learner",
        "Emial=learner.email",  # likewise
        "Email=nowhere.email",
        "Telephone=",
        "NINO=nino",
        "",
        "enrolment.status = 'current'",
        "learners, classrooms",
        "Adult Skills",  # the class and the assessor of those who have no enrolment
        "T1",
    )
    said = office.init("--base-url", onefile.base_url, typed="".join(f"{answer}\n" for answer in answers))

    assert "did you mean 'learner'?" in said
    assert "did you mean Email?" in said
    assert "There is no table or view nowhere." in said
    assert "The customer token has access to 5740 (Ynys Môn College)." in said
    assert office.failed() == []
    assert "CHANGE THIS" not in office.written("syncd.toml")
    settings = load_settings(office.folder / "syncd.toml")
    assert [feed.name for feed in settings.feeds] == ["classrooms", "learners"]
    assert settings.onefile.organisation_id == 5740
    assert (settings.defaults.classroom_name, settings.defaults.assessor_misid) == ("Adult Skills", "T1")
    columns = office.columns()
    assert "NINO" in columns
    assert "Telephone" not in columns
    assert "(enrolment.status = 'current')" in office.written("learners.sql")
    # The query of a feed that is off is there, should it be switched on.
    assert '#name = "assessors"' in office.written("syncd.toml")
    assert office.columns("assessors.sql") >= {"MISID", "FirstName", "LastName", "Email"}
    for row in _generated().rows[LEARNER]:
        for name in ("forename", "surname", "email", "uln", "nino", "mobile", "date_of_birth"):
            assert f" {row[name]} " not in said
            assert str(row[name]) not in office.written("learners.sql") + office.written("syncd.toml")


@pytest.mark.mariadb
@pytest.mark.usefixtures("_at_a_terminal")
def test_a_password_is_asked_for_where_it_is_needed_and_never_shown(
    office: Office, mariadb_url: str, onefile: Simulator
) -> None:
    College(mariadb_url, _generated())
    url = make_url(mariadb_url)
    user = "syncd_reader"
    engine = create_engine(mariadb_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as administrator:
        administrator.exec_driver_sql(f"CREATE OR REPLACE USER {user}@'127.0.0.1' IDENTIFIED BY 'hunter2'")
        try:
            administrator.exec_driver_sql(f"GRANT SELECT ON `{url.database}`.* TO {user}@'127.0.0.1'")
            asked = f"mysql+pymysql://{user}@127.0.0.1/{url.database}"
            said = office.init("--base-url", onefile.base_url, typed=f"{asked}\nhunter2\n" + "\n" * 9)
        finally:
            administrator.exec_driver_sql(f"DROP USER {user}@'127.0.0.1'")
    engine.dispose()
    assert "Check the user and the password" in said
    assert "Set the password of the MIS in SYNCD_SOURCE__PASSWORD, or in source.password_file." in said
    assert "hunter2" not in said + office.written("syncd.toml")
    assert f'url = "{asked}"' in office.written("syncd.toml")


@pytest.mark.slow
def test_a_terminal_is_known_for_one(office: Office, mis: Path) -> None:
    terminal, its_end = pty.openpty()
    # Whatever is begun in the background ignores it, and so would its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    asked = subprocess.Popen(
        [*COMMAND, "init", str(office.folder)], stdin=its_end, stdout=its_end, stderr=its_end, close_fds=True
    )
    signal.signal(signal.SIGINT, before)
    os.close(its_end)
    said = b""
    with suppress(OSError):  # is what the end of a terminal reads as
        for prompt, answer in ((b"to fill in)", str(mis)), (b"[learner]", ""), (b"all is right)", "")):
            while prompt not in said:
                said += os.read(terminal, 4096)
            os.write(terminal, f"{answer}\n".encode())
        while b"for all)" not in said:
            said += os.read(terminal, 4096)
        while asked.poll() is None:
            # One that comes between a prompt and the reading of its answer is seen to only after the answer.
            asked.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                asked.wait(5)
        while chunk := os.read(terminal, 4096):
            said += chunk
    os.close(terminal)
    assert asked.returncode == 1
    assert b"Traceback" not in said
    assert not office.folder.exists()


@pytest.mark.usefixtures("_at_a_terminal")
def test_init_without_a_database_writes_the_example(office: Office) -> None:
    said = office.init(typed="\nlive\n\n4711\n")

    assert {file.name for file in office.folder.iterdir()} == {"syncd.toml", "learners.sql", "assessors.sql"}
    settings = load_settings(office.folder / "syncd.toml")
    assert (settings.onefile.environment, settings.onefile.organisation_id) == (Environment.LIVE, 4711)
    assert "1. Put OneFile's customer token into" in said


@pytest.mark.usefixtures("_at_a_terminal")
def test_nothing_is_asked_that_has_an_option(office: Office, mis: Path, onefile: Simulator) -> None:
    defaults = ("classroom_id=7", "placement_misid=P1001", "assessor_misid=T1")
    said = office.init(
        *(
            "--database",
            str(mis),
            "--learners",
            "LEARNER",
            "--column",
            "NINO=nino",
            "--where",
            "",
            "--feeds",
            "learners",
        ),
        *("--base-url", onefile.base_url, *(f"--default={default}" for default in defaults)),
        typed="",
    )
    assert "?" not in said
    settings = load_settings(office.folder / "syncd.toml")
    assert settings.defaults.by_field["ClassroomID"] == 7
    assert "NINO" in office.columns()


@pytest.mark.parametrize("keys", ["foreign", "primary"])
def test_keys_that_cannot_be_read_are_named(
    office: Office, mis: Path, onefile: Simulator, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ProgrammingError("SELECT …", {}, Exception("Zz-Surname"))

    monkeypatch.setattr(Inspector, "get_multi_foreign_keys" if keys == "foreign" else "get_multi_pk_constraint", refuse)
    said = office.init("--database", str(mis), "--base-url", onefile.base_url)
    assert f"cannot read the database's catalogue of {keys} keys (Exception)" in " ".join(said.split())
    assert "Zz-Surname" not in said


def test_password_is_refused_on_the_command_line_and_never_written(
    office: Office, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="Others can see a password on the command line") as refused:
        office.init("--database", f"postgresql+psycopg://reader:{_SECRET}@127.0.0.1:1/mis")
    assert _SECRET not in str(refused.value)

    College(postgres_url, _generated())
    # The server takes any password from this machine.
    with_password = postgres_url.replace("postgres:@", f"postgres:{_SECRET}@")
    assert _SECRET in with_password
    monkeypatch.setenv("SYNCD_SOURCE__URL", with_password)
    said = office.init("--organisation", "5740")
    assert _SECRET not in said + office.written("syncd.toml")
    assert "SYNCD_SOURCE__URL has the URL with its password" in said

    monkeypatch.delenv("SYNCD_SOURCE__URL")
    file = tmp_path / "mis-url"
    file.write_text(f"{with_password}\n", encoding="utf-8")
    other = Office(tmp_path / "another")
    assert _SECRET not in other.init("--organisation", "5740", "--database-file", str(file))
    assert _SECRET not in other.written("syncd.toml")
    assert make_url(load_settings(other.folder / "syncd.toml").source.url.get_secret_value()) == make_url(with_password)


def test_a_password_of_its_own_connects_and_is_not_written_down(
    office: Office, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    College(postgres_url, _generated())
    monkeypatch.setenv("SYNCD_SOURCE__PASSWORD", _SECRET)
    url = postgres_url.replace("postgres:@", "postgres@")
    said = office.init("--organisation", "5740", "--database", url)
    assert _SECRET not in said + office.written("syncd.toml")
    assert "SYNCD_SOURCE__PASSWORD has the password of the MIS: set it wherever syncd runs." in said
    # What was written works with the variable as it is.
    settings = load_settings(office.folder / "syncd.toml")
    assert make_url(settings.source.connection_url).password == _SECRET

    monkeypatch.setenv("SYNCD_SOURCE__URL", postgres_url.replace("postgres:@", f"postgres:{_SECRET}@"))
    with pytest.raises(ConfigurationError, match="both in url and in password") as refused:
        Office(tmp_path / "another").init("--organisation", "5740")
    assert _SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "database",
    [
        f"postgresql+psycopg://reader:Winter@{_SECRET}@127.0.0.1:1/mis",
        f"mssql+mssqlpython://reader:Winter@/{_SECRET}@127.0.0.1:1/mis",
        f"Server=127.0.0.1,1;Database=mis;Uid=reader;Pwd={_SECRET}",
        f"jdbc:sqlserver://127.0.0.1:1;databaseName=mis;user=reader;password={_SECRET}",
        f"sqlserver://reader:{_SECRET}@127.0.0.1:1/mis",
        f"mysql+pymysql://reader@127.0.0.1:1/mis?password={_SECRET}",
    ],
)
@pytest.mark.parametrize("way", ["option", "variable", "file"])
def test_no_part_of_a_password_is_shown_however_the_database_is_given(
    office: Office, database: str, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments: list[str] = []
    if way == "option":
        arguments = ["--database", database]
    elif way == "variable":
        monkeypatch.setenv("SYNCD_SOURCE__URL", database)
    else:
        (tmp_path / "mis-url").write_text(database, encoding="utf-8")
        arguments = ["--database-file", str(tmp_path / "mis-url")]
    with pytest.raises(SyncdError) as refused:
        office.init("--organisation", "5740", *arguments)
    assert _SECRET not in str(refused.value)
    assert not (office.folder / "syncd.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--learners", "lerner"], "did you mean learner"),
        (["--column", "Emial=email"], "did you mean Email"),
        (["--column", "Email=nowhere.email"], "There is no table or view nowhere"),
        (["--feeds", "learners,caretakers"], "There is no feed caretakers"),
        (["--default", "classrom_name=X"], "did you mean classroom_name"),
        (["--organisation", "99"], "it sees 5740"),
        (["--schema", "nowhere"], "of the schema nowhere"),
        (["--customer-token-file", "nowhere"], "cannot be read"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_and_nothing_is_written(
    arguments: list[str], said: str, office: Office, mis: Path, onefile: Simulator
) -> None:
    with pytest.raises(SyncdError, match=said) as refused:
        office.init("--database", str(mis), "--base-url", onefile.base_url, *arguments)
    assert str(refused.value).count("\n") == 0
    assert not office.folder.exists()


def test_the_token_goes_nowhere_unasked_and_never_in_plain_text(
    office: Office, mis: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SYNCD_ONEFILE__CUSTOMER_TOKEN", _SECRET)
    with pytest.raises(ConfigurationError, match="must be https"):
        office.init("--database", str(mis), "--base-url", "http://onefile.invalid/api/v2.1")
    # Which OneFile was not said, and there is nobody to ask.
    said = office.init("--database", str(mis))
    assert "Set onefile.organisation_id" in said
    assert _SECRET not in said + office.written("syncd.toml")
    said = Office(tmp_path / "another").init()
    assert "Set source.url" in said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nowhere.db", "there is no such file"),
        ("postgresql+psycopg://reader@127.0.0.1:1/mis", "cannot be reached"),
        ("://", "is not a database URL"),
    ],
)
def test_a_database_that_is_none_is_said_so(url: str, said: str, office: Office) -> None:
    with pytest.raises((ConfigurationError, MisUnreachable), match=said):
        office.init("--database", url)
    assert not office.folder.exists()


def test_one_of_several_organisations_must_be_named(office: Office, mis: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = {"organisations": [{"ID": 5740, "Name": "A"}, {"ID": 5741, "Name": "B"}]}
    with Simulator(Switches(limiter=LimiterShape.OFF), seed) as onefile:
        monkeypatch.setenv("SYNCD_ONEFILE__CUSTOMER_TOKEN", onefile.customer_token)
        there = ("--database", str(mis), "--base-url", onefile.base_url)
        with pytest.raises(ConfigurationError, match=r"--organisation: 5740 \(A\), 5741 \(B\)"):
            office.init(*there)
        office.init(*there, "--organisation", "5741")
    assert load_settings(office.folder / "syncd.toml").onefile.organisation_id == 5741


def test_without_a_token_what_is_left_is_said(office: Office, mis: Path) -> None:
    said = office.init("--database", str(mis))
    assert "SYNCD_ONEFILE__CUSTOMER_TOKEN" in said
    assert "Set onefile.organisation_id" in said
    assert "SYNCD_ONEFILE__CUSTOMER_TOKEN" not in os.environ


def test_an_mis_in_the_same_folder_is_named_from_there(tmp_path: Path, onefile: Simulator) -> None:
    office = Office(tmp_path)
    College(f"sqlite:///{tmp_path / 'mis.db'}", _generated())
    office.init("--database", str(tmp_path / "mis.db"), "--base-url", onefile.base_url)
    assert 'url = "sqlite:///mis.db"' in office.written("syncd.toml")
    assert office.failed() == []


def _generated() -> Generated:
    return generate(3, _SIZE, Dirt())
