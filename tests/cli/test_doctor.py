"""doctor as a person sees it: a line a check, on one screen, and what to do next."""

import json
from io import BytesIO, TextIOWrapper

import pytest
from sqlalchemy import create_engine, text

from syncd.tls import tls_context

from .conftest import College, Syncd, terminal

_KEY = "Zm9yIHRlc3RzIG9ubHksIGFuZCBub3QgYSBzZWNyZXQ="


def test_when_all_is_well_it_fits_on_one_screen(
    college: College, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_STATE__ENCRYPTION_KEY", _KEY)
    college.configure('[notify]\nurls = ["json://127.0.0.1:1/path"]')
    with terminal(monkeypatch) as screen:
        assert syncd("doctor").exit == 0
    assert len(screen) < 24
    assert max(map(len, screen)) <= 80
    assert "No problems found" in screen[-1]
    assert "syncd plan" in screen[-1]
    assert [line[2:].split()[0] for line in screen if line[0] in "✓!"][:6] == (
        ["configuration", "schedule", "leavers", "admin", "notify", "state"]
    )


def test_a_terminal_without_ticks_gets_plain_signs(
    college: College, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    college.configure('[notify]\nurls = ["json://127.0.0.1:1/path", "Pa55word-nonsense"]')
    screen = BytesIO()
    with TextIOWrapper(screen, encoding="cp1252", errors="strict", write_through=True) as page:
        monkeypatch.setattr("sys.stdout", page)
        assert syncd("doctor").exit == 1
        said = screen.getvalue().decode("cp1252").splitlines()
    assert not any("Pa55word" in line for line in said)
    assert [line[0] for line in said if not line.startswith(" ")][:6] == ["+", "+", "+", "+", "x", "+"]
    at = next(at for at, line in enumerate(said) if line.startswith("x notify"))
    assert "URL 2" in said[at]
    assert "slack" in said[at + 1]
    assert said[-1] == "1 to fix (x), 1 to consider (!). Then run 'syncd doctor' again."


def test_each_feed_is_counted_for_every_organisation(college: College, syncd: Syncd) -> None:
    college.onefile.sow({"organisations": [{"ID": 5741, "Name": "Ashby Vale Sixth Form"}]})
    college.configure(organisation_id="organisation_id = 5740\norganisations = [5741]")
    mis = create_engine(f"sqlite:///{college.folder / 'mis.db'}")
    with mis.begin() as connection:
        connection.execute(text("ALTER TABLE learner ADD COLUMN organisation INTEGER"))
        connection.execute(text("UPDATE learner SET organisation = CASE WHEN code < 'L1010' THEN 5741 ELSE 5740 END"))
    mis.dispose()
    feed = college.folder / "learners.sql"
    feed.write_text(feed.read_text().replace("SELECT\n", "SELECT learner.organisation AS OrganisationID,\n", 1))

    found = {one["check"]: one for one in json.loads(syncd("doctor", "--json").stdout)}["feed learners"]

    assert found["found"].startswith("65 rows (56 of 5740, 9 of 5741)")
    # One of the nine is L1007, who has no e-mail address.
    assert "1 Email missing" in found["found"]


def test_feed_without_organisation_column_fails_doctor_plan_and_sync(college: College, syncd: Syncd) -> None:
    college.configure(organisation_id="organisation_id = 5740\norganisations = [5741]")

    found = {one["check"]: one for one in json.loads(syncd("doctor", "--json").stdout)}["feed learners"]

    sentence = "the column OrganisationID is missing, and it is mandatory because onefile.organisations is set"
    assert found["state"] == "failed"
    assert sentence in found["found"]
    for command in ("plan", "sync"):
        said = syncd(command)
        assert (said.exit, f"Feed learners: {sentence}" in said.words) == (1, True), said.words
    assert college.onefile.journal.writes == []


@pytest.mark.parametrize("end", ["", "; -- everybody", " /* everybody", "\nLIMIT 0"])
def test_a_query_with_a_watermark_is_also_asked_for_changes(college: College, syncd: Syncd, end: str) -> None:
    configuration, feed = college.folder / "syncd.toml", college.folder / "learners.sql"
    named = 'query_file = "learners.sql"'
    configuration.write_text(configuration.read_text().replace(named, f'{named}\nwatermark = "Changed"'))
    query = feed.read_text().rstrip().rstrip(";").replace("SELECT\n", "SELECT 1 AS Changed,\n", 1)
    feed.write_text(f"{query}{end}\n")

    found = {one["check"]: one for one in json.loads(syncd("doctor", "--json").stdout)}

    assert found["feed learners"]["state"] != "failed", found["feed learners"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "socks5://127.0.0.1:9"),
        ("https_proxy", "http://127.0.0.1:99999"),
        ("ALL_PROXY", "ftp://127.0.0.1:9"),
        ("SSL_CERT_FILE", "nowhere.pem"),
    ],
)
def test_proxy_or_certificates_that_cannot_be_used_fail_the_log_in_only(
    college: College, syncd: Syncd, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    college.configure(base_url='base_url = "https://onefile.invalid/api/v2.1"', calls_per_minute="")
    for each in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, value)
    # A process reads the certificates once.
    tls_context.cache_clear()

    found = json.loads(syncd("doctor", "--json").stdout)

    (failed,) = [each for each in found if each["state"] == "failed"]
    assert (failed["check"], name in failed["found"]) == ("log-in", True)
