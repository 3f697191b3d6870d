"""A college whose MIS is an SQL Server: every command that reads it, through the real driver over a socket."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from tests.support.command import Exit, Syncd
from tests.support.provider.expected import expect
from tests.support.provider.mis import FEED, Mis
from tests.support.provider.onefile import OneFile
from tests.support.tds import Answer, Column, Cut, Result, Silence, TdsServer, length_of
from tests.support.tds import columns as of

pytestmark = [pytest.mark.mssql, pytest.mark.parametrize("mis", ["sqlite"], indirect=True)]


class _SqlServer(TdsServer):
    """Answers the feed with what the MIS holds at that moment, its address as a long value."""

    def __init__(self, mis: Mis) -> None:
        super().__init__({FEED: self._feed})
        self._mis = mis
        self.breaks_after: float | None = None
        """The part of an answer that is sent before the connection is cut."""
        self.falls_silent = False

    def _feed(self) -> Answer:
        engine = create_engine(self._mis.url)
        with engine.connect() as connection:
            found = connection.execute(text(FEED.replace(":", r"\:")))
            names, rows = list(found.keys()), [tuple(row) for row in found]
        engine.dispose()
        kinds: dict[str, of.Type] = {"ULN": of.BIGINT, "L14": of.INT, "HomeAddress": of.NVARCHAR_MAX}
        columns = [Column(name, kinds.get(name, of.nvarchar(200))) for name in names]
        answer = Result(columns, rows)
        if self.falls_silent:
            return Silence(answer)
        if self.breaks_after is not None:
            return Cut(answer, int(self.breaks_after * length_of(answer)))
        return answer


@pytest.fixture
def server(mis: Mis, syncd: Syncd) -> Iterator[_SqlServer]:
    """An SQL Server in the place of the MIS."""
    with _SqlServer(mis) as server:
        syncd.configuration["source"] = {"url": server.url(Encrypt="no"), "timeout_seconds": 2}
        syncd.configure()
        yield server


def test_every_command_reads_an_sql_server(mis: Mis, onefile: OneFile, syncd: Syncd, server: _SqlServer) -> None:
    expected = [expect(learner, mis.college) for learner in mis.enrolled]
    sent = [each for each in expected if not each.held]

    doctor = syncd("doctor", "--json")
    [feed] = [finding for finding in doctor.json if finding["check"] == "feed learners"]
    assert feed["found"].startswith(f"{len(expected)} rows; ")

    plan = syncd("plan", "--json")
    assert plan.exit == Exit.IN_STEP, plan.stderr
    assert len(plan.json["creates"]) == len(sent)
    assert onefile.learners == []

    sync = syncd("sync", "--approve")
    assert sync.exit in {Exit.IN_STEP, Exit.SOME_HELD}, sync.stderr
    assert sorted(onefile.misids, key=str) == sorted((each.fields["MISID"] for each in sent), key=str)

    again = len(onefile.writes)
    assert syncd("sync").exit == sync.exit
    assert len(onefile.writes) == again


@pytest.mark.parametrize("breaks_after", [0.0, 0.9])
def test_a_partial_read_is_never_taken_for_leavers(
    onefile: OneFile, syncd: Syncd, server: _SqlServer, breaks_after: float
) -> None:
    assert syncd("sync", "--approve").exit in {Exit.IN_STEP, Exit.SOME_HELD}
    writes, learners = len(onefile.writes), len(onefile.learners)
    server.breaks_after = breaks_after

    cut = syncd("sync", "--approve")
    assert cut.exit == Exit.COULD_NOT_RUN
    assert "the connection was lost" in cut.stderr
    assert "Traceback" not in cut.stderr
    assert (len(onefile.writes), len(onefile.learners)) == (writes, learners)

    doctor = syncd("doctor", "--json")
    # It goes on with what does not need the MIS.
    assert {"feed learners", "state store", "customer token"} <= {finding["check"] for finding in doctor.json}


def test_a_silent_server_ends_a_run_with_a_sentence(onefile: OneFile, syncd: Syncd, server: _SqlServer) -> None:
    server.falls_silent = True
    silent = syncd("sync", "--approve")
    assert silent.exit == Exit.COULD_NOT_RUN
    assert "source.timeout_seconds (2)" in silent.stderr
    assert "Traceback" not in silent.stderr
    assert onefile.writes == []
