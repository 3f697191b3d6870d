"""Values that nobody could mistake go in everywhere; none of them comes out."""

from collections.abc import Iterator
from dataclasses import astuple, replace

import pytest
from cryptography.fernet import Fernet

from tests.support.command import SLOW, UNHURRIED, Exit, Syncd
from tests.support.polling import wait_until
from tests.support.provider.generator import NO_ULN_YET, made_up_learners
from tests.support.provider.ilr import Learner
from tests.support.provider.mis import FEED, Mis
from tests.support.provider.onefile import OneFile

_WRONG_TOKEN = "zz-wrong-customer-token"
_MIS_PASSWORD = "zz-mis-password"
_FIRST_PASSWORDS = "never-log-this"
"""What the simulator's passwords for new accounts begin with."""
_SHORTEST = 8
"""Anything shorter may stand in a log by chance."""


@pytest.fixture
def learners() -> list[Learner]:
    """People of whom nothing could stand in a log by chance; their dirt stays, for it too must not be shown."""
    return [_unmistakable(learner, number) for number, learner in enumerate(made_up_learners())]


# The two makes of database that quote a value in their errors.
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mis", ["postgresql", pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True)
def test_no_personal_value_and_no_secret_is_ever_said(
    learners: list[Learner], mis: Mis, onefile: OneFile, syncd: Syncd
) -> None:
    syncd.environment = {
        "SYNCD_LOG__FORMAT": "json",
        "SYNCD_LOG__LEVEL": "debug",
        "SYNCD_STATE__ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    syncd.configure(onefile={"calls_per_minute": SLOW, "settle_seconds": 1})

    _a_first_run_that_is_killed(onefile, syncd)
    changed = _an_update_and_a_refusal(mis, onefile, syncd)
    _look_around(syncd)
    _everything_goes_wrong(mis, syncd)

    secrets = {
        onefile.customer_token,
        _WRONG_TOKEN,
        _MIS_PASSWORD,
        _FIRST_PASSWORDS,
        syncd.environment["SYNCD_STATE__ENCRYPTION_KEY"],
    }
    secrets.update(value for learner in (*learners, *changed) for value in _personal(learner))
    for name, text in syncd.everything_said():
        assert [secret for secret in secrets if secret in text] == [], name
    at_rest = b"".join(file.read_bytes() for file in syncd.folder.glob("state.db*"))
    assert at_rest
    assert [secret for secret in secrets if secret.encode() in at_rest] == []


def _a_first_run_that_is_killed(onefile: OneFile, syncd: Syncd) -> None:
    assert syncd("plan", "--json").exit == Exit.IN_STEP
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL
    syncd("status", "--json")
    assert syncd("approve").exit == Exit.IN_STEP
    with syncd.start("sync") as running:
        wait_until(lambda: len(onefile.learners) >= 10, "the first creates")
        running.kill()
    syncd.configure(onefile={"calls_per_minute": UNHURRIED})
    assert syncd("sync").exit == Exit.SOME_HELD


def _an_update_and_a_refusal(mis: Mis, onefile: OneFile, syncd: Syncd) -> list[Learner]:
    first, second = (one for one in mis.enrolled if one.learn_ref_number in onefile.misids[:2])
    updated = replace(first, family_name="Zz-New-Surname", email="zz-new-mail@canary.example.ac.uk")
    # In its answer OneFile repeats the value that it does not like.
    refused = replace(second, ethnicity="zz-new-ethnicity")
    newcomer = replace(_unmistakable(made_up_learners(seed=2)[0], 9000), learn_ref_number="9NEW9000")
    mis.enrol([newcomer])
    mis.correct(updated.learn_ref_number, family_name=updated.family_name, email=updated.email)
    mis.correct(refused.learn_ref_number, ethnicity=refused.ethnicity)
    with onefile.strict():
        assert syncd("sync").exit == Exit.SOME_HELD
    assert onefile.learner(updated.learn_ref_number).values["LastName"] == updated.family_name
    held = {one["misid"]: one["reason"] for one in syncd("held", "--json").json}
    assert held[refused.learn_ref_number] == held[newcomer.learn_ref_number] == "refused"
    return [newcomer, updated, refused]


def _look_around(syncd: Syncd) -> None:
    for arguments in (("status",), ("status", "--json"), ("held",), ("held", "--json"), ("plan", "--json")):
        assert syncd(*arguments).exit == Exit.IN_STEP


def _everything_goes_wrong(mis: Mis, syncd: Syncd) -> None:
    # PostgreSQL quotes the value that it cannot convert in its own error.
    for feed in (
        FEED.replace("learner.uln AS ULN", "CAST(learner.family_name AS INTEGER) AS ULN"),
        FEED.replace("AS LastName", "AS LastNam"),
        FEED.replace("FROM learner\n", "FROM learners\n"),
    ):
        syncd.write_feed(feed)
        syncd("sync")
    syncd.write_feed(FEED)
    somebody = mis.enrolled[0]
    mis.correct(somebody.learn_ref_number, family_name=f"{somebody.family_name}-Again")
    syncd.customer_token, token = _WRONG_TOKEN, syncd.customer_token
    assert syncd("sync").exit == Exit.COULD_NOT_RUN
    syncd.customer_token = token
    syncd.configure(source={"url": f"postgresql+psycopg://reader:{_MIS_PASSWORD}@127.0.0.1:1/mis"})
    assert syncd("sync").exit == Exit.COULD_NOT_RUN


def _unmistakable(learner: Learner, number: int) -> Learner:
    return replace(
        learner,
        family_name=f"Zz-Surname-{number:04}",
        given_names=f"Zz-Forename-{number:04}",
        email=learner.email and learner.email.replace("learner", "zz-mail-"),
        ethnicity=f"zz-ethnicity-{number:04}",
        sex=f"zz-sex-{number:04}",
        address=(f"{number:04} Zz-Street",),
        tel_no=f"07{number:09}",
    )


def _personal(learner: Learner) -> Iterator[str]:
    others = replace(learner, learn_ref_number="", deliveries=(), employments=())
    for value in astuple(others):
        for text in value if isinstance(value, tuple) else (str(value),):
            if len(text) >= _SHORTEST and text != str(NO_ULN_YET):
                yield text
