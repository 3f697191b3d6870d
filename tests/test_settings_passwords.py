"""The configuration: passwords of databases, in their own keys, and files of secrets."""

import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
import structlog
from sqlalchemy import make_url

from syncd.operations.doctor import State
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.wiring.doctor import examine
from syncd.wiring.store import bare_store
from tests.support.configuration import SECRET, USER, Configuration
from tests.support.tds import TdsServer

_URLS = {"source": "mssql+mssqlpython://reader@mis/db", "state": "postgresql://writer@state/db"}
_ODD = ["Winter@Kestrel:77/#?", "50%40", " blank ", "true", "123", '{"a": 1}', "null", "'\"\\"]


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    return Configuration(tmp_path, monkeypatch)


@pytest.mark.parametrize("section", _URLS)
@pytest.mark.parametrize("password", _ODD)
@pytest.mark.parametrize("way", ["environment", "file", "file in the environment"])
def test_a_password_is_taken_as_it_is(configuration: Configuration, section: str, password: str, way: str) -> None:
    url = f'url = "{_URLS[section]}"'
    configuration.folder.joinpath("password").write_text(f"{password}\n", encoding="utf-8")
    variable = f"SYNCD_{section}__PASSWORD".upper()
    match way:
        case "environment":
            loaded = configuration.load({f"[{section}]": url}, **{variable: password})
        case "file":
            loaded = configuration.load({f"[{section}]": f'{url}\npassword_file = "password"'})
        case _:
            loaded = configuration.load({f"[{section}]": url}, **{f"{variable}_FILE": "password"})

    given = getattr(loaded, section)
    assert make_url(given.connection_url).set(password=None).host == make_url(_URLS[section]).host
    assert make_url(given.connection_url).password == password
    assert given.url.get_secret_value() == _URLS[section]


@pytest.mark.parametrize("section", _URLS)
def test_a_password_is_shown_by_nothing_that_prints_settings(configuration: Configuration, section: str) -> None:
    given = configuration.load({f"[{section}]": f'url = "{_URLS[section]}"\npassword = "{SECRET}"'})
    for shown in (repr(given), str(given), given.model_dump_json(), repr(given.model_dump())):
        assert "hunter2" not in shown


@pytest.mark.parametrize("section", _URLS)
@pytest.mark.parametrize("key", ["password", "password_file"])
def test_a_password_in_both_places_is_refused(configuration: Configuration, section: str, key: str) -> None:
    configuration.folder.joinpath("password").write_text(SECRET, encoding="utf-8")
    url = make_url(_URLS[section]).set(password=SECRET).render_as_string(hide_password=False)
    value = SECRET if key == "password" else "password"
    assert configuration.complaint({f"[{section}]": f'url = "{url}"\n{key} = "{value}"'}) == (
        f"FILE: {section}: the password is both in url and in password; give it in one of the two."
    )
    assert "and not both" in configuration.complaint(
        {f"[{section}]": f'url = "{_URLS[section]}"\npassword = "{SECRET}"\npassword_file = "password"'}
    )


@pytest.mark.parametrize("section", _URLS)
def test_a_password_for_a_url_without_a_user_is_refused(configuration: Configuration, section: str) -> None:
    assert "url has no user" in configuration.complaint(
        {f"[{section}]": f'url = "sqlite:///x.db"\npassword = "{SECRET}"'}
    )


@pytest.mark.parametrize("section", _URLS)
@pytest.mark.parametrize("form", ["reader:Winter@{}@host/db", "reader:p@/{}@host/db", "reader:p@x?{}@host/db"])
def test_no_part_of_a_password_in_a_url_is_shown(configuration: Configuration, section: str, form: str) -> None:
    url = "postgresql://" + form.format(SECRET)
    in_file = configuration.complaint({f"[{section}]": f'url = "{url}"'})
    assert in_file.startswith(f'FILE: {section}.url: has an "@" in an unexpected place, ')
    in_environment = configuration.complaint(**{f"SYNCD_{section}__URL".upper(): url})
    assert in_environment.startswith(f"the environment variable SYNCD_{section.upper()}__URL: {section}.url: has an ")


def test_single_backslash_in_double_quotes_error_explains_escaping(configuration: Configuration) -> None:
    sentence = configuration.complaint({"[source]": r'url = "mssql://reader@SQL01\PROSOLUTION/mis"'})
    assert sentence.endswith(r"In double quotes a backslash is written \\, in single quotes \.")
    for written in (
        r"'mssql://r@SQL01\PROSOLUTION/mis'",
        r'"mssql://r@SQL01\\PROSOLUTION/mis"',
        '"mssql://r@SQL01%5CPROSOLUTION/mis"',
    ):
        url = configuration.load({"[source]": f"url = {written}"}).source.connection_url
        assert make_url(url).host == r"SQL01\PROSOLUTION"


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("onefile", "customer_token_file"),
        ("source", "password_file"),
        ("source", "url_file"),
        ("state", "encryption_key_file"),
        ("admin", "token_file"),
        ("notify", "urls_file"),
        ("notify", "heartbeat_url_file"),
    ],
)
def test_a_file_that_is_not_there_is_named_with_the_user(configuration: Configuration, section: str, key: str) -> None:
    sentence = configuration.complaint(**{f"SYNCD_{section}__{key}".upper(): "nowhere"})
    assert sentence == (
        f"FILE: {section}: {key}: FOLDER/nowhere cannot be read by USER: No such file or directory. Create it, or "
        "correct its path."
    )


def test_unreadable_secret_file_error_names_file_and_user(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(SECRET, encoding="utf-8")
    secret.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    # Root reads everything, so it becomes a user that has no name, as in a container.
    is_root = os.geteuid() == 0
    program = (
        "import os, sys; from pathlib import Path; from syncd.secret_file import read_secret_file\n"
        f"{'os.setuid(10001)' if is_root else 'pass'}\n"
        "try: read_secret_file(Path(sys.argv[1]))\n"
        "except ValueError as said: print(said)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(secret)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        f"{secret} cannot be read by {'the user with uid 10001' if is_root else USER}: Permission denied. Let this "
        "user read it, and open the folders that it is in"
    )


@pytest.mark.mssql
def test_the_password_reaches_the_mis_and_the_state_store(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = "Winter@Kestrel:77/#?%40"
    monkeypatch.setenv("SYNCD_SOURCE__PASSWORD", password)
    monkeypatch.setenv("SYNCD_STATE__PASSWORD", password)
    monkeypatch.setenv("SYNCD_ONEFILE__CUSTOMER_TOKEN", "token")
    with TdsServer({}, password=password) as server:
        place = f"127.0.0.1:{server.port}/{server.database}"
        settings = configuration.load(
            {
                "[onefile]": 'base_url = "http://127.0.0.1:1/api/v2.1"\norganisation_id = 1',
                "[source]": f'url = "mssql+mssqlpython://{server.user}@{place}?Encrypt=no"',
                "[state]": 'url = "postgresql://writer@127.0.0.1:1/state"',
            }
        )
        checks = {one.check: one for one in examine(configuration.file, structlog.get_logger(), Event())}
        assert [login.password for login in server.logins][:1] == [password]
    assert checks["MIS"].state is State.OK
    assert bare_store(settings).url.password == password
    assert "Kestrel" not in repr(checks)


def test_a_state_store_is_named_without_its_options() -> None:
    store = Store(f"postgresql://writer:{SECRET}@127.0.0.1:1/state?sslpassword={SECRET}", ValueCipher())
    assert str(store) == "postgresql://writer:***@127.0.0.1:1/state"
