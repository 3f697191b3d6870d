"""What keeps a reader out of Oracle: the real driver, and messages that only an old Oracle makes."""

import subprocess
import sys
from pathlib import Path

import oracledb
import pytest
from sqlalchemy import event

from syncd.errors import ConfigurationError, MisUnreachable
from syncd.mis import Mis

_SECRET = "Pa55word"


def _why_not(mis: Mis) -> str:
    with pytest.raises(MisUnreachable) as failure, mis.connect():
        pass
    sentence = str(failure.value)
    assert _SECRET not in sentence
    assert "\n" not in sentence
    return sentence.partition("cannot be reached: ")[2]


def test_name_without_tnsnames_is_reported_with_both_url_forms() -> None:
    sentence = _why_not(Mis(f"oracle://reader:{_SECRET}@college_high"))
    assert sentence.startswith("DPY-4027: ")
    assert "?config_dir=FOLDER" in sentence
    assert "@HOST:1521/?service_name=NAME" in sentence


def test_a_folder_without_tnsnames_is_named(tmp_path: Path) -> None:
    sentence = _why_not(Mis(f"oracle://reader:{_SECRET}@college_high?config_dir={tmp_path}"))
    assert sentence.startswith(f"DPY-4026: file '{tmp_path}/tnsnames.ora' is missing or unreadable")
    assert "Check config_dir in source.url" in sentence


def test_name_missing_from_tnsnames_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tnsnames.ora").write_text("other = (DESCRIPTION = (ADDRESS = (HOST=x)(PORT=1)))\n", encoding="utf-8")
    sentence = _why_not(Mis(f"oracle://reader:{_SECRET}@college_high?config_dir={tmp_path}"))
    assert "tnsnames.ora in config_dir has no such entry" in sentence


@pytest.mark.parametrize(
    ("form", "asked"),
    [
        ("reader@127.0.0.1:PORT/?service_name=mis", "(SERVICE_NAME=mis)"),
        ("reader@127.0.0.1:PORT/MIS", "(SID=MIS)"),
        ("reader@college_high?config_dir=FOLDER", "(SERVICE_NAME=from_tnsnames)"),
        ("reader@college_high?config_dir=FOLDER&wallet_location=FOLDER", "(SERVICE_NAME=from_tnsnames)"),
    ],
)
def test_each_form_of_the_url_names_what_the_driver_asks_for(form: str, asked: str, tmp_path: Path) -> None:
    """No server is behind this: it is what the driver makes of the URL."""
    (tmp_path / "tnsnames.ora").write_text(
        "college_high = (DESCRIPTION = (ADDRESS = (PROTOCOL = tcp)(HOST = 127.0.0.1)(PORT = 1521))"
        "(CONNECT_DATA = (SERVICE_NAME = from_tnsnames)))\n",
        encoding="utf-8",
    )
    mis = Mis(f"oracle+oracledb://{form.replace('PORT', '1521').replace('FOLDER', str(tmp_path))}")
    [], options = mis._engine.dialect.create_connect_args(mis._engine.url)
    parameters = oracledb.ConnectParams(config_dir=options.get("config_dir"))
    parameters.parse_connect_string(options["dsn"])
    assert asked in parameters.get_connect_string()
    assert options["user"] == "reader"
    assert options.get("wallet_location") in {None, str(tmp_path)}


class _Said:
    """What the driver's errors carry."""

    def __init__(self, text: str) -> None:
        self.full_code = text.partition(":")[0]
        self._text = text

    def __str__(self) -> str:
        return self._text


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (
            "DPY-3010: connections to this database server version are not supported by python-oracledb in thin mode",
            "set source.oracle_client",
        ),
        (
            "DPY-3015: password verifier type 0x939 is not supported by python-oracledb in thin mode",
            "set source.oracle_client",
        ),
        ("ORA-01017: invalid username/password; logon denied", "Check the user and the password"),
    ],
)
def test_what_only_an_old_oracle_says_has_a_remedy(text: str, remedy: str) -> None:
    mis = Mis(f"oracle://reader:{_SECRET}@127.0.0.1:1/?service_name=mis")

    @event.listens_for(mis._engine, "do_connect")
    def connect(*_: object) -> None:
        raise oracledb.DatabaseError(_Said(text))

    sentence = _why_not(mis)
    assert sentence.startswith(text)
    assert remedy in sentence


def test_folder_without_oracle_libraries_is_reported(tmp_path: Path) -> None:
    # The driver keeps its mode for as long as the process lives.
    program = (
        "import sys; from pathlib import Path; from syncd.mis import Mis; from syncd.errors import ConfigurationError\n"
        "try: Mis('oracle://reader@127.0.0.1:1/?service_name=x', 30, Path(sys.argv[1]))\n"
        "except ConfigurationError as said: print(said)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("source.oracle_client: DPI-1047: Cannot locate a 64-bit Oracle Client library")
    assert "Name the folder of Oracle's client libraries" in done.stdout
    assert "http" not in done.stdout
    assert done.stdout.count("\n") == 1


def test_oracle_s_libraries_for_another_database_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^source\.oracle_client is set, and source\.url is not an Oracle"):
        Mis("postgresql://reader@127.0.0.1:1/mis", oracle_client=tmp_path)
