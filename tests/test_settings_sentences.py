"""The configuration: the sentence for each way of getting it wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.errors import ConfigurationError
from syncd.settings import load_settings
from tests.support.configuration import GOOD, SECRET, USER, Configuration

FEED = GOOD["[[feeds]]"]


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    return Configuration(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("head", "table", "sentence"),
    [
        ("[onefil]", "", "unknown key 'onefil'; did you mean 'onefile'?"),
        ("[guard]", "percnt = 5", "unknown key 'guard.percnt'; did you mean 'percent'?"),
        (
            "[[feeds]]",
            f'{FEED}\nquery_fil = "a"',
            "the feed 'learners': unknown key 'query_fil'; did you mean 'query_file'?",
        ),
        ("[log]", "zzz = 1", "unknown key 'log.zzz'; known are format, level."),
        ("[onefile]", 'environment = "live"', "the key 'onefile.organisation_id' is missing."),
        ("[source]", "", "the key 'source.url' is missing."),
        (
            "[[feeds]]",
            'name = "a"\nquery = "SELECT 1"',
            "the feed 'a': needs a role, which is one of Learner, Trainee Assessor, Assessor, IQA, Employer, Observer.",
        ),
        (
            "[[feeds]]",
            'name = "a"\nkind = "assignments"\nrole = "Learner"\nquery = "SELECT 1"',
            "the feed 'a': needs a role, which is one of Assessor, Trainee Assessor, IQA, Employer, Observer.",
        ),
        (
            "[[feeds]]",
            'name = "a"\nkind = "links"\nrole = "IQA"\nquery = "SELECT 1"',
            "the feed 'a': kind: must be 'users', 'placements', 'classrooms' or 'assignments'.",
        ),
        (
            "[[feeds]]",
            'name = "a"\nkind = "placements"\nrole = "Employer"\nquery = "SELECT 1"',
            "the feed 'a': is of the kind 'placements', which has no role.",
        ),
    ],
)
def test_a_key_that_is_unknown_or_missing_is_named(
    configuration: Configuration, head: str, table: str, sentence: str
) -> None:
    assert configuration.complaint({head: table}) == f"FILE: {sentence}"


def test_a_misspelt_key_is_named_before_the_one_that_is_missing_for_it(configuration: Configuration) -> None:
    assert configuration.complaint({"[onefile]": 'environment = "live"\norganization_id = 1'}) == (
        "FILE: unknown key 'onefile.organization_id'; did you mean 'organisation_id'? There is 1 more like this."
    )


def test_a_wrong_value_is_named_before_a_key_that_is_missing(configuration: Configuration) -> None:
    assert configuration.complaint({"[onefile]": 'environment = "live"', "[guard]": "field_percent = 101"}) == (
        "FILE: guard.field_percent: must be less than or equal to 100. There is 1 more like this."
    )


SCHEDULE = 'is neither an interval such as "15m" nor a cron line such as "*/15 7-19 * * 1-5".'
JITTER = 'must be a duration of at most 1h, e.g. "1m".'
URL = "is not a database URL such as postgresql+psycopg://user@host/database."
NO_TIME = "leaves no time of the day for calls; make a window shorter."
NO_WINDOW = 'begins and ends at the same time; write a window such as "07:00-07:30".'
WINDOW = 'is not a window such as "07:00-07:30".'
WATCHER = 'heartbeat_url must be a URL that begins with "https://" or "http://".'
TOKEN = "must have at least 12 characters, because it could be guessed: 'openssl rand -hex 32' prints a good one."
DIGEST = 'is neither a time such as "08:00" nor a cron line such as "0 8 * * 1-5".'
ZONE = 'is not a time zone such as "Europe/London".'
ADDRESS = 'admin: listen must be an address and a port such as "127.0.0.1:8642", or "" for off.'
MISIDS = "leavers.protect: must be a list of MISIDs, each in quotes, or the name of a file of them."


@pytest.mark.parametrize(
    ("head", "line", "sentence"),
    [
        *(
            ("[schedule]", f'poll = "{poll}"', f"schedule.poll: {SCHEDULE}")
            for poll in ("soon", "15", "15M", "15 m", "1.5h", "-5m", "0m", "99999999999h", "@daily", "* * * *")
        ),
        *(
            ("[schedule]", f'verify = "{line}"', f"schedule.verify: {SCHEDULE}")
            for line in ("never", "61 * * * *", "0 3 * * 8", "0 3 * * mon-foo", "0 3 * fri *", "0 3 * * 5-2")
        ),
        *(
            ("[schedule]", f'verify = "{line}"', f"schedule.verify: {SCHEDULE}")
            # A field for seconds, days that never come, and signs that not every cron has.
            for line in ("0 0 3 * * *", "0 3 30 2 *", "0 3 L * *", "0 3 * * 5L", "0 3 * * 5#2", "0 3 * * 1L/2")
        ),
        *(
            ("[schedule]", f'jitter = "{jitter}"', f"schedule.jitter: {JITTER}")
            for jitter in ("soon", "60", "61m", "2h", "-1m", "0s", "*/5 * * * *")
        ),
        ("[schedule]", "poll = 15", "schedule.poll: must be text, in quotes."),
        *(
            ("[schedule]", f"quiet = [{window}]", f"schedule.quiet.0: {WINDOW}")
            for window in ('"25:00-26:00"', '"07:00"', '"7:00-7:30"', '"07:60-08:00"', "7", "07:00:00", '["07:00"]')
        ),
        *(
            ("[schedule]", f'quiet = ["{at}-{at}"]', f"schedule.quiet.0: {NO_WINDOW}")
            for at in ("07:00", "00:00", "23:59")
        ),
        *(
            ("[schedule]", f"quiet = {windows}", f"schedule.quiet: {NO_TIME}")
            for windows in (
                '["00:00-12:00", "12:00-00:00"]',
                '["07:00-06:00", "05:30-07:30"]',
                '["00:00-08:00", "16:00-00:00", "07:59-16:00"]',
            )
        ),
        ("[schedule]", 'quiet = "07:00-07:30"', 'schedule.quiet: must be a list such as ["07:00-07:30"].'),
        *(
            ("[schedule]", f'timezone = "{zone}"', f"schedule.timezone: {ZONE}")
            for zone in ("London", "", "GMT+25", "../UTC", "Europe/London\\u0000")
        ),
        *(
            ("[admin]", f'listen = "{listen}"', ADDRESS)
            for listen in (
                "127.0.0.1:65536",
                "127.0.0.1:99999",
                "8642",
                ":8642",
                "127.0.0.1",
                "127.0.0.1:http",
                "127.0.0.1:-1",
            )
        ),
        *(("[leavers]", f"protect = {protect}", MISIDS) for protect in ("[100234]", "100234", "true", "{L1 = 1}")),
        *(
            ("[notify]", f'digest = "{digest}"', f"notify.digest: {DIGEST}")
            for digest in ("soon", "24:00", "8", "15m", "08:60", "0 8 * *")
        ),
        *(
            ("[notify]", f"urls = {urls}", "notify.urls: must be a list of Apprise's URLs, each in quotes.")
            for urls in ("[1]", "true", '[""]', "{a = 1}")
        ),
        *(
            ("[notify]", f'heartbeat_url = "{url}"', f"notify: {WATCHER}")
            for url in ("watcher.example", "ftp://watcher.example", "https://", "http://[::1")
        ),
        ("[notify]", "unreachable_minutes = -1", "notify.unreachable_minutes: must be greater than or equal to 0."),
        ("[leavers]", 'action = "delete"', "leavers.action: must be 'report' or 'archive'."),
        ("[leavers]", "grace_days = -1", "leavers.grace_days: must be greater than or equal to 0."),
        ("[leavers]", "grace_days = 99999999999", "leavers.grace_days: must be less than or equal to 36500."),
        *(
            (
                "[admin]",
                f"{key} = {hashed}",
                f"admin.{key}: is not the hash of a password: 'syncd admin password' prints one.",
            )
            for key in ("password_hash", "viewer_password_hash")
            for hashed in (f'"{SECRET}"', '"$argon2id$v=19"')
        ),
        *(
            (
                "[admin]",
                f'{key} = "{given}"',
                f"admin.{key}: {TOKEN}",
            )
            for key in ("token", "viewer_token")
            for given in ("abc", SECRET[:-1], 11 * "x")
        ),
        *(
            (
                "[admin]",
                f'trusted_proxies = ["127.0.0.1", "{proxy}"]',
                'admin.trusted_proxies.1: must be addresses or networks such as "127.0.0.1" or "10.0.0.0/24".',
            )
            for proxy in ("*", "proxy.college.example", "10.0.0.1/24", "", "127.0.0.1:80")
        ),
        ("[admin]", "password_hash = 5", "admin.password_hash: must be text, in quotes."),
        (
            "[admin]",
            f'token = "{2 * SECRET}"\nviewer_token = "{2 * SECRET}"',
            "admin: token and viewer_token are the same, and one of them only lets people look.",
        ),
        ("[guard]", 'percent = "a tenth"', "guard.percent: must be a number."),
        ("[guard]", "percent = 1000001", "guard.percent: must be less than or equal to 1000000."),
        ("[guard]", "field_percent = 101", "guard.field_percent: must be less than or equal to 100."),
        ("[guard]", "percent = nan", "guard.percent: must be a finite number."),
        ("[guard]", "floor = 1.5", "guard.floor: must be a whole number."),
        ("[defaults]", 'classroom_id = "Business"', "defaults.classroom_id: must be a whole number."),
        ("[state]", 'auto_upgrade = "perhaps"', "state.auto_upgrade: must be true or false."),
        ("[log]", 'format = "xml"', "log.format: must be 'json', 'console' or ''."),
        ("[[feeds]]", 'name = ""\nrole = "IQA"\nquery = "x"', "feed number 1: name: must not be empty."),
        (
            "[[feeds]]",
            'name = "a"\nrole = "learner"\nquery = "x"',
            (
                "the feed 'a': role: must be 'Learner', 'Trainee Assessor', 'Assessor', 'IQA', 'Employer' or 'Observer'"
                "; did you mean 'Learner'?"
            ),
        ),
    ],
)
def test_a_value_that_will_not_do_is_named_with_what_would(
    configuration: Configuration, head: str, line: str, sentence: str
) -> None:
    assert configuration.complaint({head: line}) == f"FILE: {sentence}"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("timeout_seconds = inf", "onefile.timeout_seconds: must be a finite number."),
        ("timeout_seconds = 0", "onefile.timeout_seconds: must be greater than 0."),
        ("calls_per_minute = 0", "onefile.calls_per_minute: must be greater than or equal to 1."),
        ("max_in_flight = 65", "onefile.max_in_flight: must be less than or equal to 64."),
        ("settle_seconds = -1", "onefile.settle_seconds: must be greater than or equal to 0."),
        ('clear = "yes"', "onefile.clear: must be 'keep', 'empty' or 'null'."),
        ("customer_token = 5", "onefile.customer_token: must be text, in quotes."),
        ("customer_token_file = 5", "onefile.customer_token_file: must be the name of a file, in quotes."),
        (
            'customer_token_file = "none"',
            (
                "onefile: customer_token_file: FOLDER/none cannot be read by USER: No such file or directory. Create "
                "it, or correct its path."
            ),
        ),
        (
            'customer_token_file = "."',
            (
                "onefile: customer_token_file: FOLDER cannot be read by USER: Is a directory. Name a file that this "
                "user can read."
            ),
        ),
        (
            'customer_token_file = "none"\ncustomer_token = "a"',
            "onefile: needs either customer_token or customer_token_file, and not both.",
        ),
    ],
)
def test_what_is_wrong_with_the_way_to_onefile_is_said(configuration: Configuration, line: str, sentence: str) -> None:
    assert configuration.complaint({"[onefile]": f"{GOOD['[onefile]']}\n{line}"}) == f"FILE: {sentence}"


def test_a_secret_that_is_not_text_is_not_read(configuration: Configuration) -> None:
    configuration.folder.joinpath("token").write_bytes(b"\xff\xfe")

    assert configuration.complaint({"[admin]": 'token_file = "token"'}) == (
        "FILE: admin: token_file: FOLDER/token is not UTF-8 text."
    )


@pytest.mark.parametrize("listen", ["0.0.0.0:8642", "[::]:8642", "192.168.0.7:8642", "mis:8642", "127.example.org:80"])
def test_listen_on_network_address_requires_token_or_password(configuration: Configuration, listen: str) -> None:
    host, _, port = listen.rpartition(":")

    assert configuration.complaint({"[admin]": f'listen = "{listen}"'}) == (
        "FILE: admin: listen is not a loopback address, so a token or a password is needed: "
        "set SYNCD_ADMIN__TOKEN, or SYNCD_ADMIN__PASSWORD_HASH to what 'syncd admin password' prints."
    )
    guarded = configuration.load({"[admin]": f'listen = "{listen}"'}, SYNCD_ADMIN__TOKEN="a token, long enough")
    assert guarded.admin.address == (host.strip("[]"), int(port))


@pytest.mark.parametrize("listen", ["127.0.0.1:8642", "127.0.0.2:1", "localhost:65535", "[::1]:8642"])
def test_listen_on_loopback_address_requires_no_token(configuration: Configuration, listen: str) -> None:
    assert configuration.load({"[admin]": f'listen = "{listen}"'}).admin.address is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://wsapi.onefile.co.uk/api/v2.1",
        "http://127.0.0.1.example.org/api/v2.1",
        "http://localhost.example.org",
        "http://localhost@example.org/",
        "http://10.0.0.1",
        "http://[::1",
        "http://127.0.0.1:99999",
        "https://",
        "ftp://localhost",
        "wsapi.onefile.co.uk",
    ],
)
def test_no_call_ever_goes_out_in_plain_http(configuration: Configuration, url: str) -> None:
    assert configuration.complaint({"[onefile]": f'base_url = "{url}"\norganisation_id = 1'}) == (
        "FILE: onefile: base_url must be https; plain http is for a simulator on this machine."
    )


@pytest.mark.parametrize("place", ["", 'environment = "live"\nbase_url = "https://example.org"'])
def test_onefile_is_in_one_place(configuration: Configuration, place: str) -> None:
    assert configuration.complaint({"[onefile]": f"organisation_id = 1\n{place}"}) == (
        'FILE: onefile: needs either environment = "live" (or "practice", "beta") or base_url, and not both.'
    )


@pytest.mark.parametrize("url", [f'"{SECRET}"', f'"postgresql://reader:{SECRET}@mis:port/db"', '""', "5", '["a"]'])
def test_what_is_no_database_url_is_not_repeated(configuration: Configuration, url: str) -> None:
    assert configuration.complaint({"[source]": f"url = {url}"}) == f"FILE: source.url: {URL}"


def test_each_feed_has_a_name_of_its_own(configuration: Configuration) -> None:
    assert configuration.complaint({"[[feeds]]": f"{FEED}\n[[feeds]]\n{FEED}"}) == (
        "FILE: feeds: two feeds are called learners; a feed's name must be its own."
    )


@pytest.mark.parametrize("query", ["", 'query = "  "', 'query = "SELECT 1"\nquery_file = "learners.sql"'])
def test_a_feed_has_one_query(configuration: Configuration, query: str) -> None:
    assert configuration.complaint({"[[feeds]]": f'name = "a"\nrole = "IQA"\n{query}'}) == (
        "FILE: the feed 'a': needs either query_file or query, and not both."
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "FILE: the key 'onefile' is missing. There are 2 more like this."),
        ("onefile = 5\nsource = 5\nfeeds = []", "FILE: onefile: must be a table. There are 2 more like this."),
        ("onefile = [", "FILE is not valid TOML: Invalid value (at end of document)."),
        ("[feeds]\nname = 'a'", "FILE: each feed must be a table of its own, headed [[feeds]]."),
        ("feeds = []", "FILE: feeds: there must be at least one [[feeds]]."),
    ],
)
def test_malformed_configuration_file_error_names_the_problem(
    configuration: Configuration, text: str, sentence: str
) -> None:
    good = "\n".join(f"{head}\n{GOOD[head]}" for head in ("[onefile]", "[source]"))
    configuration.file.write_text(f"{text}\n{good}" if "feeds" in text and "onefile" not in text else text)

    with pytest.raises(ConfigurationError) as refusal:
        load_settings(configuration.file)

    assert str(refusal.value).replace(str(configuration.file), "FILE") == sentence


def test_missing_and_unreadable_configuration_have_distinct_errors(configuration: Configuration) -> None:
    with pytest.raises(ConfigurationError) as missing:
        load_settings(configuration.file)
    with pytest.raises(ConfigurationError) as folder:
        load_settings(configuration.folder)
    configuration.file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError) as binary:
        load_settings(configuration.file)

    assert str(missing.value) == (
        f"There is no configuration file {configuration.file}. "
        "Write one with 'syncd init', or name another with --config."
    )
    assert str(folder.value).replace(USER, "USER") == (
        f"{configuration.folder} cannot be read by USER: Is a directory. Name a file that this user can read."
    )
    assert str(binary.value) == f"{configuration.file} cannot be read: not UTF-8 text."


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("ONEFILE__CUSTOMER_TOKN", SECRET, "unknown key 'onefile.customer_tokn'; did you mean 'customer_token'?"),
        ("ONEFILE__ORGANISATION_ID", SECRET, "onefile.organisation_id: must be a whole number."),
        ("SCHEDULE__QUIET", "07:00-07:30", 'schedule.quiet: must be a list such as ["07:00-07:30"].'),
        ("SCHEDULE__POLL", SECRET, f"schedule.poll: {SCHEDULE}"),
        ("STATE", SECRET, "state: must be a table."),
        ("SOURCE__URL", SECRET, f"source.url: {URL}"),
    ],
)
@pytest.mark.parametrize("spelling", [str.upper, str.lower])
def test_an_environment_variable_that_will_not_do_is_named(
    configuration: Configuration, key: str, value: str, sentence: str, spelling: Callable[[str], str]
) -> None:
    assert configuration.complaint(**{spelling(f"SYNCD_{key}"): value}) == (
        f"the environment variable SYNCD_{key}: {sentence}"
    )


def test_an_environment_variable_for_a_section_there_is_not_is_named(configuration: Configuration) -> None:
    assert configuration.complaint(SYNCD_ONEFIEL__CUSTOMER_TOKEN=SECRET) == (
        "The environment variable SYNCD_ONEFIEL__CUSTOMER_TOKEN sets nothing: "
        "there is no section 'onefiel'; did you mean 'onefile'?"
    )


@pytest.mark.parametrize("head", ["[onefile]", "[source]", "[state]", "[admin]", "[[feeds]]", "[leavers]"])
def test_no_value_is_ever_repeated_because_any_may_be_a_secret(configuration: Configuration, head: str) -> None:
    told = configuration.complaint({head: f'{GOOD.get(head, "")}\nmisspelt = "{SECRET}"'})
    assert "unknown key" in told
    assert SECRET not in told
    assert configuration.complaint({head: f'{SECRET} = "{SECRET}'}).startswith("FILE is not valid TOML: ")


@given(text=st.text("0123456789smh*/-, monxyz", max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_schedule_however_odd_ends_in_anything_but_a_sentence(configuration: Configuration, text: str) -> None:
    try:
        loaded = configuration.load({"[schedule]": f'poll = "{text}"'}).schedule
    except ConfigurationError as refusal:
        said = str(refusal)
    else:
        said = f"polls {loaded.poll_interval or loaded.poll}"
    assert said.startswith("polls ") or 'schedule.poll: is neither an interval such as "15m"' in said
