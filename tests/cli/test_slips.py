"""Whatever is misspelt on the command line or around it, the nearest right name is given."""

from pathlib import Path

import pytest

from .conftest import Syncd

_CONFIGURATION = """
[onefile]
base_url = "http://127.0.0.1:1/api/v2.1"
organisation_id = 5740
[source]
url = "sqlite:///mis.db"
[[feeds]]
name = "people"
role = "Learner"
query = "SELECT 1 AS MISID"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "syncd.toml").write_text(_CONFIGURATION)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNCD_CONFIG", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("snyc", "Did you mean 'sync'"),
        ("db upgrad", "Did you mean 'upgrade'"),
        ("sync --aprove", "--approve"),
        ("rekey A B --role Lerner", "'Lerner' is not a role; did you mean 'Learner'?"),
        ("rekey A B --role Chef", "'Chef' is not a role; it must be one of Learner, Trainee Assessor"),
        ("approve one", "'one' is not a whole number"),
        ("status --organisation college", "'college' is not a whole number"),
        ("status --organisation 5741", "5741 is not configured; the configuration has 5740"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_slip_in_a_command(arguments: str, sentence: str, syncd: Syncd) -> None:
    wrong = syncd(*arguments.split())
    assert wrong.exit == 2
    assert sentence in wrong.words


@pytest.mark.parametrize(
    ("misid", "sentence"),
    [
        ("", "the MISID is empty"),
        (" \N{NO-BREAK SPACE}\n", "the MISID is empty"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}N1", "contains an invisible character (U+FEFF"),
        ("N1\N{ZERO WIDTH SPACE}", "contains an invisible character (U+200B"),
        ("N\n1", "contains an invisible character (U+000A"),
        ("x" * 300, "is longer than 255 characters"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_misid_that_no_feed_can_have_is_refused(misid: str, sentence: str, syncd: Syncd) -> None:
    wrong = syncd("rekey", "OLD", misid)

    assert wrong.exit == 2
    assert sentence in wrong.words


@pytest.mark.parametrize(
    "command",
    [
        "rekey",
        "release",
        "restore",
        "unlink",
        "history",
        "explain",
        "retry",
        "sync --misid",
        "plan --misid",
        "resync --misid",
        "undo 1 --misid",
    ],
)
@pytest.mark.usefixtures("folder")
def test_every_command_reads_a_misid_as_a_feed_does(command: str, syncd: Syncd) -> None:
    wrong = syncd(*command.split(), "N1\N{ZERO WIDTH SPACE}")

    assert wrong.exit == 2
    assert "contains an invisible character (U+200B" in wrong.words


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        ("organisation_id", "organisaton_id", "unknown key 'onefile.organisaton_id'; did you mean 'organisation_id'?"),
        ("[source]", "[sorce]", "unknown key 'sorce'; did you mean 'source'?"),
        ('base_url = "http://127.0.0.1:1/api/v2.1"', 'environment = "practise"', "did you mean 'practice'?"),
        ('"Learner"', '"Lerner"', "the feed 'people': role: must be 'Learner', "),
        ('"Learner"', '"Lerner"', "; did you mean 'Learner'?"),
        ('role = "Learner"', 'kind = "user"', "; did you mean 'users'?"),
        ('"people"\nrole', '"people"\nrol', "the feed 'people': unknown key 'rol'; did you mean 'role'?"),
    ],
)
def test_a_slip_in_the_configuration(right: str, wrong: str, sentence: str, folder: Path, syncd: Syncd) -> None:
    (folder / "syncd.toml").write_text(_CONFIGURATION.replace(right, wrong))
    told = syncd("status")
    assert told.exit == 1
    assert sentence in told.words
    assert "?." not in told.words


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SYNCD_GAURD__FLOOR", "guard"),
        ("SYNCD_GUARD__FLOR", "floor"),
        ("SYNCD_STATE_ENCRYPTION_KEY", "SYNCD_STATE__ENCRYPTION_KEY"),
        ("SYNCD_CONFG", "SYNCD_CONFIG"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_slip_in_the_environment(variable: str, meant: str, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "zz-secret")
    told = syncd("status")
    assert told.exit == 1
    assert meant in told.words
    assert "did you mean" in told.words
    assert "zz-secret" not in told.words


@pytest.mark.usefixtures("folder")
def test_other_variables_are_none_of_our_business(syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_SOAK_SECONDS", "600")
    monkeypatch.setenv("SYNCD_HOME", "/srv/syncd")
    assert syncd("status").exit == 0


def test_a_misspelt_column_ends_in_one_mark(syncd: Syncd, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_ONEFILE__CUSTOMER_TOKEN", "token")
    (folder / "mis.db").touch()
    (folder / "syncd.toml").write_text(_CONFIGURATION.replace("AS MISID", "AS MISD"))
    told = syncd("plan")
    assert told.stderr.strip().endswith("Feed people: column 'MISD' is not a OneFile field; did you mean MISID?")
