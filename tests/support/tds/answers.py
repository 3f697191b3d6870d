"""What the server answers, and the tokens of it.

An answer is one of the classes here, or several of them in a list, which are several results of one statement.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from tests.support.tds.columns import Column
from tests.support.tds.tokens import Columns, Command, Done, Message, ReturnStatus, Row, Status, Token
from tests.support.tds.wire import packets_of


@dataclass(frozen=True)
class Result:
    """Rows; after the last of them comes a warning, or a failure ends the result."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]
    failure: "Failure | None" = None
    warning: "Print | None" = None


@dataclass(frozen=True)
class Count:
    """How many rows a statement changed; with NOCOUNT it is not shown to the client, unless a procedure put it off."""

    rows: int
    despite_nocount: bool = False


@dataclass(frozen=True)
class Print:
    """What PRINT or a warning says."""

    text: str
    number: int = 0


@dataclass(frozen=True)
class Failure:
    """An error, with SQL Server's number of it."""

    number: int
    text: str
    severity: int = 16


@dataclass(frozen=True)
class Nothing:
    """What a SET answers."""


@dataclass(frozen=True)
class Procedure:
    """The results of a stored procedure."""

    results: "Sequence[Part]"
    returns: int = 0


Part: TypeAlias = Result | Count | Print | Failure | Nothing
Plain: TypeAlias = Part | Procedure | Sequence[Part]


@dataclass(frozen=True)
class Cut:
    """So many bytes of an answer's packets, headers included, and then the end of the connection."""

    answer: Plain
    after_bytes: int
    by_reset: bool = False


@dataclass(frozen=True)
class Silence:
    """So many bytes of an answer's packets, and then nothing, also on an attention unless that is acknowledged."""

    answer: Plain = Nothing()
    after_bytes: int = 0
    acknowledges_attention: bool = False


Answer: TypeAlias = Plain | Cut | Silence


def length_of(answer: Plain) -> int:
    """Return how many bytes an answer's packets have, headers included."""
    return len(packets_of(b"".join(token.encode() for token in tokens_of(answer))))


def tokens_of(answer: Plain, *, nocount: bool = False) -> list[Token]:
    """Return the tokens of an answer, the last of which says that no more follow."""
    if isinstance(answer, Procedure):
        results = _tokens(answer.results, nocount, Done.IN_PROCEDURE)
        return [*results, ReturnStatus(answer.returns), Done(Status.FINAL, Command.EXECUTE, 0, Done.PROCEDURE)]
    results = _tokens([answer] if isinstance(answer, Part) else answer, nocount, Done.BATCH)
    *tokens, last = results
    assert isinstance(last, Done)
    return [*tokens, replace(last, status=last.status & ~Status.MORE)]


def _tokens(results: Sequence[Part], nocount: bool, done: int) -> Iterator[Token]:
    count = Status.FINAL if nocount else Status.COUNT
    for result in results:
        match result:
            case Result(columns, rows, failure, warning):
                yield Columns(columns)
                yield from (Row(columns, row) for row in rows)
                if warning:
                    yield Message(Message.INFO, warning.number, warning.text)
                if failure:
                    yield _error(failure)
                    yield Done(Status.MORE | Status.ERROR, Command.SELECT, 0, done)
                else:
                    yield Done(Status.MORE | count, Command.SELECT, len(rows), done)
            case Count(rows, despite_nocount):
                yield Done(Status.MORE | (Status.COUNT if despite_nocount else count), Command.INSERT, rows, done)
            case Print(text, number):
                yield Message(Message.INFO, number, text)
                yield Done(Status.MORE, Command.SET, 0, done)
            case Failure():
                yield _error(result)
                yield Done(Status.MORE | Status.ERROR, Command.SET, 0, done)
            case Nothing():
                yield Done(Status.MORE, Command.SET, 0, done)


def _error(failure: Failure) -> Message:
    return Message(Message.ERROR, failure.number, failure.text, failure.severity)
