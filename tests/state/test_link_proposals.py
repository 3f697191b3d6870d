"""Proposed accounts wait for their answers, in both makes of database."""

from syncd.core.fields import Role
from syncd.core.identity import Answer
from syncd.core.records import Held, Key, Reason
from syncd.state import answers, held_records, link_proposals
from syncd.state.db.store import Store
from syncd.state.held_records import Selection
from tests.support.sessions import session_on

HERE, ELSEWHERE = 5740, 5741
L1, L2 = Key(HERE, Role.LEARNER, "L1"), Key(HERE, Role.LEARNER, "L2")
A1 = Key(HERE, Role.ASSESSOR, "L1")
OTHERS = Key(ELSEWHERE, Role.LEARNER, "L1")


def test_new_proposals_replace_those_of_the_same_organisation(store: Store) -> None:
    with store.begin() as connection:
        elsewhere = session_on(connection, ELSEWHERE)
        link_proposals.replace(elsewhere, [(OTHERS, 9)])
        here = session_on(connection, HERE)
        link_proposals.replace(here, [(L1, 2), (L2, 3)])
        link_proposals.replace(here, [(L1, 5), (L1, 2), (A1, 4)])

        assert link_proposals.pending(here) == {L1: (2, 5), A1: (4,)}
        assert link_proposals.pending(elsewhere) == {OTHERS: (9,)}
        link_proposals.replace(here, [])
        assert link_proposals.pending(here) == {}


def test_answered_proposals_are_deleted_one_by_one_or_all_of_a_record(store: Store) -> None:
    with store.begin() as connection:
        session = session_on(connection, HERE)
        link_proposals.replace(session, [(L1, 1), (L1, 2), (A1, 1), (L2, 3)])

        link_proposals.forget(session, L1, [1, 3])
        assert link_proposals.pending(session) == {L1: (2,), A1: (1,), L2: (3,)}
        link_proposals.forget(session, L1, [])
        link_proposals.forget(session, A1)
        assert link_proposals.pending(session) == {L1: (2,), L2: (3,)}


def test_retry_answers_proposals_of_the_named_misids_only(store: Store) -> None:
    question = Held(HERE, Role.LEARNER, "L1", "f", Reason.ANOTHER_PERSON, "MISID", "", 0, "fingerprint", "", 7)
    with store.begin() as connection:
        session = session_on(connection, HERE)
        held_records.replace(session, [question], [])
        link_proposals.replace(session, [(L1, 1), (A1, 2), (L2, 3)])

        assert held_records.retry(session) == 0
        assert len(link_proposals.pending(session)) == 3
        assert held_records.retry(session, Selection(["L1"])) == 2

        assert link_proposals.pending(session) == {L1: (1,), L2: (3,)}
        said = {key: each.answer for key, each in answers.stored(session).items()}
        # The operator has answered the question that a run has asked.
        assert said == {L1: Answer.SAME, A1: Answer.NEW}
