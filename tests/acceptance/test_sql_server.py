"""A college whose MIS is an SQL Server: every command that reads it, through the real driver over a socket."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, text

from tests.support.command import Exit, Syncd
from tests.support.provider.expected import expect
from tests.support.provider.mis import FEED, Mis
from tests.support.provider.onefile import OneFile
from tests.support.tds import Answer, Column, Cut, Failure, Result, Silence, TdsServer, length_of
from tests.support.tds import columns as of
from tests.support.tds.requests import Request

pytestmark = [pytest.mark.mssql, pytest.mark.parametrize("mis", ["sqlite"], indirect=True)]


class _SqlServer(TdsServer):
    """Answers the feed with what the MIS holds at that moment, its address as a long value."""

    def __init__(self, mis: Mis) -> None:
        super().__init__({FEED: self._feed, "SELECT SYSDATETIME(), SYSUTCDATETIME()": self._clock})
        self._mis = mis
        self.breaks_after: float | None = None
        """The part of an answer that is sent before the connection is cut."""
        self.falls_silent = False
        self.refuses: Failure | None = None
        """How the feed is refused in parentheses, or at all if it has no watermark."""
        self.has_watermark = False

    def _clock(self) -> Answer:
        now = datetime.now(UTC).replace(tzinfo=None)
        return Result([Column("local", of.datetime2()), Column("utc", of.datetime2())], [(now, now)])

    def _feed(self) -> Answer:
        engine = create_engine(self._mis.url)
        with engine.connect() as connection:
            found = connection.execute(text(FEED.replace(":", r"\:")))
            names, rows = list(found.keys()), [tuple(row) for row in found]
        engine.dispose()
        kinds: dict[str, of.Type] = {"ULN": of.BIGINT, "L14": of.INT, "HomeAddress": of.NVARCHAR_MAX}
        if self.refuses and not self.has_watermark:
            return self.refuses
        if self.has_watermark:
            names, rows = [*names, "Changed"], [(*row, 1) for row in rows]
            kinds["Changed"] = of.INT
        columns = [Column(name, kinds.get(name, of.nvarchar(200))) for name in names]
        answer = Result(columns, rows)
        if self.falls_silent:
            return Silence(answer)
        if self.breaks_after is not None:
            return Cut(answer, int(self.breaks_after * length_of(answer)))
        return answer

    def answer_to(self, request: Request) -> Answer:
        is_in_parentheses = self.has_watermark and request.text.startswith("SELECT *")
        return self.refuses if is_in_parentheses and self.refuses else super().answer_to(request)


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
    assert "library_warning" not in cut.stderr
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


def _finding(syncd: Syncd) -> dict[str, str]:
    [finding] = [each for each in syncd("doctor", "--json").json if each["check"] == "feed learners"]
    assert finding["state"] == "failed"
    return dict(finding)


@pytest.mark.parametrize(
    ("trouble", "found", "advice"),
    [
        ({"breaks_after": 0.9}, "the connection was lost", "The next run reads again; if it is lost again, check"),
        ({"falls_silent": True}, "within source.timeout_seconds (2)", "The next run reads again; if that happens"),
        (
            {"refuses": Failure(1205, "Transaction (Process ID 53) was deadlocked on lock resources.")},
            "(deadlock, error 1205)",
            "The next run reads again.",
        ),
        (
            {"refuses": Failure(50000, "Zz-Surname is not welcome.")},
            "the database refused the query (",
            "Run the query as this login in another program, such as SSMS",
        ),
        (
            {"refuses": Failure(208, "Invalid object name 'person'.")},
            "Invalid object name 'person'",
            "Correct its query, then run 'syncd doctor' again.",
        ),
    ],
)
def test_the_advice_of_doctor_fits_the_fault(
    syncd: Syncd, server: _SqlServer, trouble: dict[str, object], found: str, advice: str
) -> None:
    for name, value in trouble.items():
        setattr(server, name, value)
    finding = _finding(syncd)
    assert found in finding["found"]
    assert finding["advice"].startswith(advice)


@pytest.mark.parametrize(
    "refusal",
    [
        Failure(1033, "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries."),
        Failure(156, "Incorrect syntax near the keyword 'EXEC'."),
    ],
    ids=["ORDER BY", "EXEC"],
)
def test_doctor_says_what_to_write_for_a_watermark(syncd: Syncd, server: _SqlServer, refusal: Failure) -> None:
    syncd.file.write_text(f'{syncd.file.read_text(encoding="utf-8")}\nwatermark = "Changed"\n', encoding="utf-8")
    server.refuses, server.has_watermark = refusal, True
    finding = _finding(syncd)
    assert refusal.text.rstrip(".") in finding["found"]
    assert finding["advice"] == (
        "A batch or a procedure cannot stand there: write the query as one SELECT, or make it a view, or remove the "
        "feed's watermark."
    )


def test_an_unknown_sql_server_is_given_up_and_doctor_ends_normally(syncd: Syncd) -> None:
    """A thread that is left in the driver's native code aborts the process at its end."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mssql+mssqlpython://reader@127.0.0.1:{silent.getsockname()[1]}/mis?Encrypt=strict"
        syncd.configure(source={"url": url, "timeout_seconds": 1})
        doctor = syncd("doctor", "--json")
    assert doctor.exit == Exit.COULD_NOT_RUN, doctor.stderr
    [finding] = [each for each in doctor.json if each["check"] == "MIS"]
    assert "it does not answer" in finding["found"]
    assert "Encrypt=strict" in finding["advice"]
    assert "terminate called" not in doctor.stderr
