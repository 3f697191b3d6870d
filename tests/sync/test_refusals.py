"""What OneFile says when it refuses a change, which may repeat what was sent."""

import html
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from syncd.simulator.errors import bad_request
from syncd.simulator.models import User
from syncd.state import changes
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

_SURNAME = "O'Featherstone"


@pytest.fixture
def college(found: Found) -> College:
    return found()


@pytest.fixture
def encrypted(college: College) -> Iterator[College]:
    """The college with an encrypted store."""
    store = college.context.store
    again = Store(store.url.render_as_string(hide_password=False), ValueCipher(Fernet.generate_key().decode()))
    college.context = replace(college.context, store=again)
    yield college
    again.close()


def _refuse(college: College, message: str) -> None:
    def refuse(*_: object) -> User:
        raise bad_request(message)

    world: Any = college.onefile.world
    world.create_user = world.update_user = refuse


@pytest.mark.parametrize(
    "said",
    [
        "A user called Ann Brid&#39;well, born 17/04/2003, exists",
        "FirstName=Ann&LastName=Brid%27well&DOB=2003-04-17",
        "annbridwell is not unique",
        "L1%40students.example.org is taken",
        f"The user {html.escape(_SURNAME)} cannot become Ann Bridw",
    ],
)
def test_refusal_shows_no_value_that_was_ever_sent_and_none_is_at_rest(encrypted: College, said: str) -> None:
    encrypted.add_columns("dob")
    encrypted.with_feed(encrypted.context.feeds[0].query.replace("FROM", ", dob AS DOB FROM"))
    encrypted.enrol("L1", surname=_SURNAME, dob="2003-04-17")
    assert encrypted.run().is_in_sync
    _refuse(encrypted, said)
    encrypted.correct("L1", surname="Brid'well")

    assert encrypted.run().refused == 1

    shown = [encrypted.detail("L1")]
    with encrypted.context.store.begin() as connection:
        session = session_on(connection, ORGANISATION, cipher=encrypted.context.store.cipher)
        shown += [each.message for each in changes.history(session, "L1")]
        at_rest = " ".join(
            str(value)
            for table in ("change", "held")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
            for value in row
        )
    assert shown[-1].startswith("OneFile refused it with status 400: ")
    for value in ("Bridw", "Brid", "well", "Feather", "2003", "2004", "L1@", "students.", "annb"):
        assert not [each for each in shown if value.lower() in each.lower()], value
    assert "OneFile refused" not in at_rest


@pytest.mark.parametrize("said", ["a\x00b", "\x1b[2J", "\u202egnp.exe", "a\u2028b"])
def test_refusal_with_characters_that_no_store_or_terminal_takes_is_recorded(college: College, said: str) -> None:
    _refuse(college, f"No: {said}")
    college.enrol("L1")

    assert college.run().refused == 1

    assert college.detail("L1").startswith("OneFile refused it with status 400: No: ")
    assert college.detail("L1").isprintable()
