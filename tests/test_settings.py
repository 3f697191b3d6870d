"""The configuration: what a good file and the environment give."""

import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy.engine import URL, make_url

from syncd.core.compare import Clear
from syncd.core.fields import Role
from syncd.core.schedule import When
from syncd.settings import Environment, Settings, configuration_file, onefile_named
from tests.support.configuration import GOOD, SECRET, Configuration


def database(url: SecretStr) -> URL:
    return make_url(url.get_secret_value())


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    return Configuration(tmp_path, monkeypatch)


def test_a_minimal_file_gives_every_default_of_the_contract(configuration: Configuration) -> None:
    given = configuration.load()

    assert given.onefile.url == "https://wsapi2.onefile.co.uk/api/v2.1"
    assert (given.onefile.organisation_id, given.onefile.clear) == (5740, Clear.KEEP)
    assert (given.onefile.calls_per_minute, given.onefile.max_in_flight) == (300, 16)
    assert (given.onefile.timeout_seconds, given.onefile.settle_seconds) == (30, 60)
    assert given.onefile.compare_names
    assert given.state.auto_upgrade
    assert given.schedule.poll_interval == timedelta(minutes=15)
    assert (given.schedule.verify, given.schedule.timezone, given.schedule.quiet) == ("", "Europe/London", ())
    assert (given.guard.percent, given.guard.floor) == (10, 50)
    assert (given.leavers.action, given.leavers.grace_days, given.leavers.protect) == ("report", 14, ())
    assert given.defaults.by_field == {}
    assert given.admin.address == ("127.0.0.1", 8642)
    assert (given.log.format, given.log.level) == ("", "info")
    assert [(feed.name, feed.kind, feed.role, feed.query) for feed in given.feeds] == [
        ("learners", "users", Role.LEARNER, "SELECT 1")
    ]


def test_every_key_of_the_contract_can_be_set(configuration: Configuration) -> None:
    given = configuration.load(
        {
            "[schedule]": 'poll = "1h"\nverify = "0 3 * * *"\ntimezone = "UTC"\nquiet = ["07:00-07:30", "23:30-00:15"]',
            "[guard]": "percent = 2.5\nfloor = 7",
            "[leavers]": 'action = "archive"\ngrace_days = 0\nprotect = ["L1", "L2"]',
            "[defaults]": "classroom_id = 15379\nassessor_id = 7",
            "[admin]": 'listen = ""',
            "[log]": 'format = "json"\nlevel = "debug"',
        }
    )

    assert given.schedule.quiet == ((time(7), time(7, 30)), (time(23, 30), time(0, 15)))
    assert (given.guard.percent, given.guard.floor) == (2.5, 7)
    assert (given.leavers.action, given.leavers.grace_days, given.leavers.protect) == ("archive", 0, ("L1", "L2"))
    assert given.defaults.by_field == {"ClassroomID": 15379, "DefaultAssessorID": 7}
    assert given.admin.address is None


@pytest.mark.parametrize(
    ("section", "key", "smallest", "largest"),
    [("guard", "percent", 0, 100), ("guard", "floor", 0, 10**6), ("leavers", "grace_days", 0, 36_500)],
)
def test_a_limit_itself_is_allowed(
    configuration: Configuration, section: str, key: str, smallest: int, largest: int
) -> None:
    for limit in (smallest, largest):
        given = configuration.load({f"[{section}]": f"{key} = {limit}"})

        assert getattr(getattr(given, section), key) == limit


def test_limit_values_of_max_in_flight_are_accepted(configuration: Configuration) -> None:
    for in_flight in (1, 64):
        given = configuration.load({"[onefile]": f"{GOOD['[onefile]']}\nmax_in_flight = {in_flight}"}).onefile

        assert given.max_in_flight == in_flight


@pytest.mark.parametrize("host", ["127.0.0.1:8021", "localhost:8021", "[::1]:8021"])
def test_only_a_simulator_may_have_settle_seconds_0(configuration: Configuration, host: str) -> None:
    line = "organisation_id = 5740\nsettle_seconds = 0"

    given = configuration.load({"[onefile]": f'base_url = "http://{host}/api/v2.1"\n{line}'}).onefile

    assert given.settle_seconds == 0
    for onefile in (
        'environment = "live"',
        'environment = "practice"',
        'base_url = "https://onefile.example/api/v2.1"',
    ):
        complaint = configuration.complaint({"[onefile]": f"{onefile}\n{line}"})
        assert complaint == "FILE: onefile: settle_seconds must be more than 0; 0 is for a simulator on this machine."
    assert "settle_seconds must be" in configuration.complaint(SYNCD_ONEFILE__SETTLE_SECONDS="0")
    assert configuration.load(SYNCD_ONEFILE__SETTLE_SECONDS="0.1").onefile.settle_seconds == 0.1


@pytest.mark.parametrize("key", ["poll", "verify"])
def test_an_empty_schedule_is_off(configuration: Configuration, key: str) -> None:
    assert getattr(configuration.load({"[schedule]": f'{key} = ""'}).schedule, key) == ""


def test_variables_that_are_no_keys_of_ours_are_let_be(configuration: Configuration) -> None:
    assert configuration.load(SYNCD_CONFIG="other.toml", OTHER__KEY="a", COLLEGE_SYNCD__KEY="a") == configuration.load()


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ("live", "https://wsapi.onefile.co.uk/api/v2.1"),
        ("practice", "https://wsapi2.onefile.co.uk/api/v2.1"),
        ("beta", "https://wsapibeta.onefile.co.uk/api/v2.1"),
    ],
)
def test_an_environment_stands_for_its_url(environment: str, url: str) -> None:
    assert Environment(environment).base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://wsapi.onefile.co.uk/api/v2.1",
        "HTTPS://wsapi.onefile.co.uk/api/v2.1",
        "http://127.0.0.1:8000/api/v2.1",
        "http://127.1.2.3",
        "http://localhost:8000",
        "http://[::1]:8000/api",
    ],
)
@pytest.mark.parametrize("end", ["", "/"])
def test_a_base_url_is_https_or_on_this_machine(configuration: Configuration, url: str, end: str) -> None:
    given = configuration.load({"[onefile]": f'base_url = "{url}{end}"\norganisation_id = 1'})

    assert given.onefile.url == url


@pytest.mark.parametrize("place", ["", "[state]", "[state]\nauto_upgrade = false"])
def test_the_state_is_kept_beside_the_file_wherever_syncd_is_started(configuration: Configuration, place: str) -> None:
    given = configuration.load({place: ""})

    assert database(given.state.url).database == str(configuration.folder / "syncd.db")


def test_paths_are_relative_to_the_file_and_may_be_absolute(configuration: Configuration) -> None:
    configuration.folder.joinpath("token").write_text(f"{SECRET}\n", encoding="utf-8")
    elsewhere = configuration.folder.parent / "elsewhere"

    given = configuration.load(
        {
            "[onefile]": f'{GOOD["[onefile]"]}\ncustomer_token_file = "token"',
            "[source]": f'url = "sqlite:///{elsewhere / "mis.db"}"',
            "[leavers]": 'protect = "protected.txt"',
            "[[feeds]]": f'name = "learners"\nrole = "Learner"\nquery_file = "{elsewhere / "learners.sql"}"',
        },
        SYNCD_STATE__URL="sqlite:///data/syncd.db",
    )

    assert given.onefile.customer_token.get_secret_value() == SECRET
    assert database(given.source.url).database == str(elsewhere / "mis.db")
    assert database(given.state.url).database == str(configuration.folder / "data" / "syncd.db")
    assert given.leavers.protect == configuration.folder / "protected.txt"
    assert given.feeds[0].query_file == elsewhere / "learners.sql"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql+psycopg://reader:p%40ss@mis/college",
        "mysql+pymysql://reader@mis:3307/college?charset=utf8mb4",
        "mssql+mssqlpython://reader@mis/ProSolution",
    ],
)
def test_any_sqlalchemy_url_will_do_for_the_mis(configuration: Configuration, url: str) -> None:
    assert database(configuration.load({"[source]": f'url = "{url}"'}).source.url) == make_url(url)


def test_the_environment_wins_over_the_file_key_by_key(configuration: Configuration) -> None:
    given = configuration.load(
        {"[guard]": "percent = 5\nfloor = 5"},
        SYNCD_GUARD__FLOOR="7",
        SYNCD_ONEFILE__ENVIRONMENT="beta",
        syncd_leavers__grace_days="3",
        SYNCD_SCHEDULE__QUIET='["07:00-07:30"]',
        SYNCD_LEAVERS__PROTECT='["L1"]',
    )

    assert (given.guard.percent, given.guard.floor) == (5, 7)
    assert (given.onefile.environment, given.onefile.organisation_id) == (Environment.BETA, 5740)
    assert given.leavers.grace_days == 3
    assert given.schedule.quiet == ((time(7), time(7, 30)),)
    assert given.leavers.protect == ("L1",)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("onefile", "customer_token"),
        ("state", "encryption_key"),
        ("admin", "token"),
        ("admin", "viewer_token"),
        ("source", "url"),
    ],
)
def test_a_secret_may_be_in_a_file_of_its_own(configuration: Configuration, section: str, key: str) -> None:
    configuration.folder.joinpath("secret").write_text(" postgresql://mis/db \n", encoding="utf-8")
    kept = GOOD["[onefile]"] if section == "onefile" else ""

    from_file = configuration.load({f"[{section}]": f'{kept}\n{key}_file = "secret"'})
    from_environment = configuration.load({f"[{section}]": kept}, **{f"SYNCD_{section}__{key}_FILE".upper(): "secret"})

    for loaded in (from_file, from_environment):
        assert getattr(getattr(loaded, section), key).get_secret_value() == "postgresql://mis/db"


@pytest.mark.parametrize("key", ["password_hash", "viewer_password_hash"])
def test_the_hash_of_a_password_may_be_in_a_file_of_its_own(configuration: Configuration, key: str) -> None:
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x")
    configuration.folder.joinpath("hash").write_text(f"{hashed}\n", encoding="utf-8")

    for given in (
        configuration.load({"[admin]": f'listen = "0.0.0.0:1"\n{key}_file = "hash"'}),
        configuration.load({"[admin]": ""}, **{f"SYNCD_ADMIN__{key}".upper(): hashed}),
    ):
        assert getattr(given.admin, key).get_secret_value() == hashed
        assert hashed not in repr(given)


def test_secret_from_environment_overrides_secret_in_configuration(configuration: Configuration) -> None:
    configuration.folder.joinpath("token").write_text("of the file", encoding="utf-8")
    named = {"[onefile]": f'{GOOD["[onefile]"]}\ncustomer_token_file = "token"'}
    written = {"[onefile]": f'{GOOD["[onefile]"]}\ncustomer_token = "written"'}

    given = configuration.load(named, SYNCD_ONEFILE__CUSTOMER_TOKEN="of the environment")
    assert given.onefile.customer_token.get_secret_value() == "of the environment"
    given = configuration.load(written, SYNCD_ONEFILE__CUSTOMER_TOKEN_FILE="token")
    assert given.onefile.customer_token.get_secret_value() == "of the file"


def _urls(given: Settings) -> list[str]:
    return [url.get_secret_value() for url in given.notify.urls]


def test_notify_urls_come_from_list_file_lines_or_environment(configuration: Configuration) -> None:
    expected = ["mailto://a:b@c.example?to=d@c.example,e@c.example", "json://127.0.0.1/hook"]
    lines = f"# the office\n{expected[0]}\n\n  {expected[1]}  \n"
    configuration.folder.joinpath("urls").write_text(lines, encoding="utf-8")

    assert _urls(configuration.load({"[notify]": f"urls = {json.dumps(expected)}"})) == expected
    assert _urls(configuration.load({"[notify]": 'urls_file = "urls"'})) == expected
    assert _urls(configuration.load(SYNCD_NOTIFY__URLS=json.dumps(expected))) == expected
    assert _urls(configuration.load(SYNCD_NOTIFY__URLS=" ".join(expected))) == expected
    assert _urls(configuration.load({"[notify]": 'urls_file = "urls"'}, SYNCD_NOTIFY__URLS="json://a")) == ["json://a"]
    assert _urls(configuration.load(SYNCD_NOTIFY__URLS="")) == []


@pytest.mark.parametrize(
    ("given", "line"),
    [("8:00", "0 8 * * *"), ("17:45", "45 17 * * *"), ("0 8 * * 1-5", "0 8 * * 1-5"), ("", "")],
)
def test_a_digest_is_at_a_time_of_day_or_by_a_cron_line_or_never(
    configuration: Configuration, given: str, line: str
) -> None:
    assert configuration.load({"[notify]": f'digest = "{given}"'}).notify.digest == line
    assert configuration.load().notify.digest == "0 8 * * *"


def test_no_secret_is_shown_by_printing_the_settings(configuration: Configuration) -> None:
    given = configuration.load(
        {
            "[onefile]": f'{GOOD["[onefile]"]}\ncustomer_token = "{SECRET}"',
            "[source]": f'url = "postgresql://reader:{SECRET}@mis/db"',
            "[state]": f'url = "postgresql://writer:{SECRET}@state/db"\nencryption_key = "{SECRET}"',
            "[admin]": f'token = "{2 * SECRET}"',
            "[notify]": f'urls = ["json://{SECRET}@127.0.0.1"]\nheartbeat_url = "https://watcher.invalid/{SECRET}"',
        }
    )
    assert given.notify.heartbeat_url.get_secret_value().endswith(SECRET)

    for shown in (repr(given), str(given), given.model_dump_json(), repr(given.model_dump())):
        assert "hunter2" not in shown


def test_configuration_file_is_argument_then_environment_then_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SYNCD_CONFIG", raising=False)
    assert configuration_file() == Path("syncd.toml")
    monkeypatch.setenv("SYNCD_CONFIG", "college.toml")
    assert configuration_file() == Path("college.toml")
    assert configuration_file(Path("given.toml")) == Path("given.toml")


@pytest.mark.parametrize(
    ("poll", "interval"),
    [
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(minutes=90)),
        ("*/5 * * * *", None),
        ("0 7 * * mon-fri", None),
    ],
)
def test_the_daemon_polls_at_an_interval_or_by_a_cron_line(
    configuration: Configuration, poll: str, interval: timedelta | None
) -> None:
    given = configuration.load({"[schedule]": f'poll = "{poll}"'}).schedule

    assert (given.poll, given.poll_interval) == (poll, interval)


@pytest.mark.parametrize(
    ("weekdays", "days"),
    [
        ("*", "mon tue wed thu fri sat sun"),
        ("1-5", "mon tue wed thu fri"),
        ("0", "sun"),
        ("7", "sun"),
        ("5-7", "fri sat sun"),
        ("6,0", "sat sun"),
        ("1-5/2", "mon wed fri"),
        ("*/2", "tue thu sat sun"),
        ("mon,3", "mon wed"),
    ],
)
def test_weekdays_are_counted_as_cron_counts_them(configuration: Configuration, weekdays: str, days: str) -> None:
    """Other libraries count from Monday, and would poll a college from Tuesday to Saturday."""
    given = configuration.load({"[schedule]": f'poll = "0 7 * * {weekdays}"'}).schedule

    monday = datetime(2026, 1, 12, tzinfo=UTC)
    week = [When(given.poll).after(monday + timedelta(days=day)) for day in range(7)]
    assert {each.strftime("%a").lower() for each in week} == {*days.split()}


def test_a_onefile_is_called_by_what_people_know_it_as() -> None:
    assert onefile_named("wsapi.onefile.co.uk") == "OneFile's live environment"
    assert onefile_named("wsapi2.onefile.co.uk") == "OneFile's practice environment"
    assert onefile_named("localhost") == "the simulated OneFile on this machine"
    assert onefile_named("onefile.example") == "the OneFile at onefile.example"
