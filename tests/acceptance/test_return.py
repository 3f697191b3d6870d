"""The tests' own input is what it claims to be."""

from pathlib import Path

from sqlalchemy import text

from tests.support.provider.expected import expect
from tests.support.provider.generator import made_up_learners, write_return
from tests.support.provider.ilr import Learner, read_return
from tests.support.provider.mis import FEED, College, Mis


def test_a_return_is_read_as_it_was_written(tmp_path: Path) -> None:
    learners = made_up_learners()
    write_return(tmp_path / "small.xml", learners)
    assert list(read_return(tmp_path / "small.xml")) == learners


def test_the_small_return_has_the_dirt_of_a_real_one() -> None:
    learners = made_up_learners()
    expected = [expect(learner, College()) for learner in learners]

    assert {each.held for each in expected} == {None, ("missing", "Email"), ("unusable", "Email")}
    assert {field for each in expected for field in each.warnings} == {"DOB", "ULN", "NINO"}
    assert {len(learner.deliveries) for learner in learners} >= {1, 2, 3}
    assert {each.placement for each in expected} == {
        "O'Brien's Café",
        "Müller & Söhne (Ashby) Ltd",
        "Default Placement",
    }
    for values in ([learner.uln for learner in learners], [learner.email for learner in learners]):
        assert len(set(values)) < len(values)


def test_the_feed_yields_each_learner_once_on_every_make_of_database(learners: list[Learner], mis: Mis) -> None:
    with mis.engine.connect() as connection:
        rows = connection.execute(text(FEED)).all()
    assert sorted(row[0] for row in rows) == sorted(learner.learn_ref_number for learner in learners)
