"""From practice to live: one configuration, and a store for each; none is ever used for two."""

import json
import re
from collections.abc import Iterator

import pytest

from syncd.demo.sample_college import SampleCollege
from syncd.simulator import Simulator, Switches
from syncd.simulator.switches import LimiterShape

from .conftest import College, Said, Syncd

#: Nobody's, and it stays so: what is refused must not call, and what is not must have nobody to call.
_ELSEWHERE = 'base_url = "https://onefile.example/api/v2.1"'
_OFF = Switches(limiter=LimiterShape.OFF)


@pytest.fixture
def in_step(college: College, syncd: Syncd) -> College:
    assert syncd("sync", "--approve").exit == 4
    return college


_COMMANDS = [
    *("sync", "plan", "status", "approve", "reject", "retry", "resync", "link", "verify", "rekey A B", "run", "held"),
    *("explain L1001", "history L1001", "accounts", "report", "unlink L1001", "restore L1001", "db reseal"),
    *("db check", "db upgrade", "credentials export passwords.csv"),
]


def test_a_store_of_another_environment_is_refused_before_anything_is_done(in_step: College, syncd: Syncd) -> None:
    in_step.configure(base_url=_ELSEWHERE, calls_per_minute="")
    for command in _COMMANDS:
        refused = syncd(*command.split())
        assert (refused.exit, refused.stdout) == (1, ""), command
        (sentence,) = refused.stderr.splitlines()
        assert re.fullmatch(
            r"The state store sqlite:///\S*syncd.db belongs to the simulated OneFile on this machine since "
            r"\d\d \w{3} \d{4}, but the configuration is for the OneFile at onefile\.example, which has other "
            r"UserIDs. Name another one in state.url: .*'syncd link'.*",
            sentence,
        ), command


def test_doctor_says_so_too_and_a_backup_can_be_made(in_step: College, syncd: Syncd) -> None:
    in_step.configure(base_url=_ELSEWHERE, calls_per_minute="")
    found = {one["check"]: one for one in json.loads(syncd("doctor", "--json").stdout)}
    assert found["state store"]["state"] == "failed"
    assert "belongs to the simulated OneFile on this machine" in found["state store"]["found"]
    assert syncd("db", "current").exit == 0
    assert syncd("db", "backup", "copy.db").exit == 0


def test_a_store_of_its_own_is_all_that_another_environment_needs(
    in_step: College, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_step.configure(base_url=_ELSEWHERE, calls_per_minute="")
    monkeypatch.setenv("SYNCD_STATE__URL", "sqlite:///live.db")
    told = syncd("status")
    assert told.exit == 0
    assert "accounts:             none" in told.stdout


@pytest.fixture
def elsewhere(college: College) -> Iterator[Simulator]:
    """Another customer's OneFile on this machine."""
    seed = json.loads(json.dumps(SampleCollege().onefile_at_the_start()).replace("5740", "6000"))
    with Simulator(_OFF, seed, customer_token="of-another-customer") as onefile:
        yield onefile


def test_a_token_that_was_replaced_proves_itself_once(
    in_step: College, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_ONEFILE__CUSTOMER_TOKEN", "a-new-token")
    with Simulator(_OFF, in_step.people.onefile_at_the_start(), customer_token="a-new-token") as onefile:
        in_step.configure(base_url=f'base_url = "{onefile.base_url}"')
        first, second = syncd("sync"), syncd("sync")
        looks = [call for call in onefile.journal.calls if call.path.endswith("/Organisation/Search")]
    assert (first.exit, second.exit) == (4, 4)
    assert len(looks) == 1
    assert '"customer_token_changed"' in first.stderr
    assert '"customer_token_changed"' not in second.stderr


def test_another_customers_token_never_gets_at_the_store(
    in_step: College, elsewhere: Simulator, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_ONEFILE__CUSTOMER_TOKEN", elsewhere.customer_token)
    in_step.configure(base_url=f'base_url = "{elsewhere.base_url}"', organisation_id="organisation_id = 6000")
    for command in ("sync", "link", "plan", "verify"):
        _assert_refused(syncd(command))
    _assert_refused(syncd("explain", "L1001"))
    assert elsewhere.journal.writes == []
    found = {one["check"]: one for one in json.loads(syncd("doctor", "--json").stdout)}
    assert found["log-in"]["state"] == "failed"
    assert "state.url" in found["log-in"]["advice"]


def _assert_refused(told: Said) -> None:
    assert told.exit == 1
    sentence = told.stderr.splitlines()[-1]
    assert "belongs to another customer" in sentence
    assert "state.url" in sentence
