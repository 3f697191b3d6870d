"""What a person can get wrong is answered in words, not in tracebacks."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.support.command import Exit, Finished, Syncd
from tests.support.provider.mis import FEED

_CLOSED_PORT = "127.0.0.1:1"

on_sqlite = pytest.mark.parametrize("mis", ["sqlite"], indirect=True)


class Mistake(NamedTuple):
    make: Callable[[Syncd], object]
    words: tuple[str, ...]
    """What the sentence must name for a person to find the place."""


_IN_THE_QUERY = {
    "a table that is not there": Mistake(
        lambda syncd: syncd.write_feed("SELECT 1 AS MISID FROM learners_of_2019"), ("learners_of_2019",)
    ),
    "SQL that is none": Mistake(lambda syncd: syncd.write_feed("SELEKT 1"), ("learners",)),
}

_ELSEWHERE = {
    "a misspelt column": Mistake(
        lambda syncd: syncd.write_feed(FEED.replace("AS LastName", "AS LastNam")), ("learners", "LastName")
    ),
    "a mandatory column left out": Mistake(
        lambda syncd: syncd.write_feed(FEED.replace("learner.email AS Email,", "")), ("learners", "Email")
    ),
    "a PostgreSQL that is down": Mistake(
        lambda syncd: syncd.configure(source={"url": f"postgresql+psycopg://reader:Pa55word@{_CLOSED_PORT}/mis"}),
        ("MIS",),
    ),
    "a MariaDB that is down": Mistake(
        lambda syncd: syncd.configure(source={"url": f"mysql+pymysql://reader:Pa55word@{_CLOSED_PORT}/mis"}), ("MIS",)
    ),
    "a database URL that is none": Mistake(
        lambda syncd: syncd.configure(source={"url": "mis.college.ac.uk"}), ("source.url",)
    ),
    "a wrong customer token": Mistake(lambda syncd: setattr(syncd, "customer_token", "not-the-token-9f3a"), ("token",)),
    "no customer token": Mistake(lambda syncd: setattr(syncd, "customer_token", ""), ("token",)),
    "a OneFile that is down": Mistake(
        lambda syncd: syncd.configure(onefile={"base_url": f"http://{_CLOSED_PORT}/api/v2.1"}), ("OneFile",)
    ),
    "malformed TOML": Mistake(lambda syncd: syncd.file.write_text("[onefile\n"), ("syncd.toml", "TOML")),
    "a misspelt key": Mistake(
        lambda syncd: syncd.configure(onefile={"max_in_fligth": 8}), ("syncd.toml", "max_in_fligth", "max_in_flight")
    ),
    "a misspelt section": Mistake(lambda syncd: syncd.configure(gaurd={"floor": 8}), ("syncd.toml", "gaurd", "guard")),
    "a key of the wrong type": Mistake(
        lambda syncd: syncd.configure(guard={"floor": "many"}), ("syncd.toml", "guard.floor")
    ),
    "a missing feed file": Mistake(lambda syncd: syncd.feed.unlink(), ("learners.sql",)),
    "a missing configuration": Mistake(lambda syncd: syncd.file.unlink(), ("syncd.toml",)),
    "a state store in a folder that is not there": Mistake(
        lambda syncd: syncd.configure(state={"url": "sqlite:///no/such/folder/syncd.db"}), ("state",)
    ),
}

#: One of each source of mistakes; each has a process of its own, so the others wait for the gate.
_FIRST = {"a misspelt column", "a wrong customer token", "a OneFile that is down", "a misspelt key"}


@pytest.mark.parametrize("mistake", _IN_THE_QUERY.values(), ids=_IN_THE_QUERY.keys())
def test_a_mistake_in_a_query_is_named_in_a_sentence(mistake: Mistake, syncd: Syncd) -> None:
    mistake.make(syncd)
    _assert_a_person_can_mend_it(syncd("sync"), mistake.words)


@on_sqlite
@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param(mistake, id=name, marks=() if name in _FIRST else pytest.mark.slow)
        for name, mistake in _ELSEWHERE.items()
    ],
)
def test_a_mistake_in_the_configuration_is_named_in_a_sentence(mistake: Mistake, syncd: Syncd) -> None:
    mistake.make(syncd)
    _assert_a_person_can_mend_it(syncd("sync"), mistake.words)


@on_sqlite
@pytest.mark.parametrize(
    "arguments",
    [("snyc",), *(pytest.param(each, marks=pytest.mark.slow) for each in (("sync", "--aprove"), ("history",)))],
    ids=" ".join,
)
def test_a_slip_of_the_keyboard_is_wrong_usage(arguments: tuple[str, ...], syncd: Syncd) -> None:
    wrong = syncd(*arguments)

    assert wrong.exit == Exit.WRONG_USAGE
    assert wrong.stdout == ""
    assert "Traceback" not in wrong.stderr


def _assert_a_person_can_mend_it(finished: Finished, words: tuple[str, ...]) -> None:
    sentences = [line for line in finished.stderr.splitlines() if not line.startswith("{")]
    assert finished.exit == Exit.COULD_NOT_RUN, finished
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr
    assert 1 <= len(sentences) <= 2, finished.stderr
    for word in words:
        assert word.lower() in finished.stderr.lower()
    for secret in ("Pa55word", "not-the-token-9f3a"):
        assert secret not in finished.stderr
