"""A server on loopback that a driver logs in to ([MS-TDS], "Server Details")."""

import socket
import socketserver
import ssl
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final, Self

from sqlalchemy import URL

from tests.support.tds import requests
from tests.support.tds.answers import Answer, Cut, Failure, Nothing, Part, Plain, Procedure, Result, Silence, tokens_of
from tests.support.tds.columns import COLLATION, INT, NVARCHAR_MAX, Column, nvarchar
from tests.support.tds.requests import Login, Packet, Request
from tests.support.tds.tokens import Change, Command, Done, LoginAck, Message, ReturnStatus, ReturnValue, Status, Token
from tests.support.tds.wire import SIZE, Closed, Wire, packets_of

#: An answer, or what makes one of a statement's parameters.
Answers = Mapping[str, Answer | Callable[..., Answer]]


class Encryption(IntEnum):
    """What the server says to it at pre-login ("PRELOGIN", ENCRYPTION)."""

    OF_LOGIN = 0
    ON = 1
    NOT_SUPPORTED = 2


def _of_dialect(name: str, value: object) -> Result:
    return Result([Column(name, INT if isinstance(value, int) else NVARCHAR_MAX)], [[value]])


#: What SQLAlchemy's dialect and pyodbc ask of their own accord.
_DIALECT: Final[Answers] = {
    "SELECT 1": Result([Column("", INT)], [[1]]),
    "SELECT CAST(SERVERPROPERTY('ProductVersion') AS VARCHAR)": _of_dialect("", "16.0.1000.6"),
    **{
        f"sp_datatype_info_100 {kind},3": Result([Column("TYPE_NAME", nvarchar(128))], [])
        for kind in ("12", "-9", "-3", "93")
    },
    "select @@version": _of_dialect("", "Microsoft SQL Server 2022 (RTM) - 16.0.1000.6 (X64)"),
    "SELECT schema_name()": Result([Column("", nvarchar(128))], [["dbo"]]),
    "SELECT CAST('test max support' AS NVARCHAR(max))": _of_dialect("", "test max support"),
    "SELECT 1 FROM fn_listextendedproperty(default, default, default, default, default, default, default)": Result(
        [Column("", INT)], []
    ),
    "SELECT name FROM sys.system_views WHERE name IN ('dm_exec_sessions', 'dm_pdw_nodes_exec_sessions')": Result(
        [Column("name", nvarchar(128))], [["dm_exec_sessions"]]
    ),
    "SELECT CASE transaction_isolation_level WHEN 0 THEN NULL WHEN 1 THEN 'READ UNCOMMITTED' "
    "WHEN 2 THEN 'READ COMMITTED' WHEN 3 THEN 'REPEATABLE READ' WHEN 4 THEN 'SERIALIZABLE' WHEN 5 THEN 'SNAPSHOT' END "
    "AS TRANSACTION_ISOLATION_LEVEL FROM sys.dm_exec_sessions where session_id = @@SPID": Result(
        [Column("TRANSACTION_ISOLATION_LEVEL", nvarchar(16))], [["READ COMMITTED"]]
    ),
}


class TdsServer:
    """A server that answers these statements, in a thread for each connection, until the context ends.

    ``logins``, ``statements`` and ``attentions`` are what it was sent. An error in it is raised when the context ends.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        login: Answer | None = None,
        user: str = "reader",
        password: str = "Pa55word",
        database: str = "college",
        encryption: Encryption = Encryption.NOT_SUPPORTED,
        certificate: Path | None = None,
    ) -> None:
        self.answers: Answers = {**_DIALECT, **{_plain(text): answer for text, answer in answers.items()}}
        self.login = login
        self.user, self.password, self.database = user, password, database
        self.encryption = encryption
        self.tls = _context(certificate) if certificate else None
        self.logins: list[Login] = []
        self.statements: list[Request] = []
        self.attentions = 0
        self.errors: list[Exception] = []
        self._lock = Lock()
        self._listener = _Listener(self)
        self._thread = Thread(target=self._listener.serve_forever, args=(0.02,), name="TdsServer")

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._listener.server_address[1]
        return port

    def url(self, name: str = "mssql+mssqlpython", /, **options: str) -> str:
        """Return a SQLAlchemy URL of it."""
        return URL.create(
            name, self.user, self.password, "127.0.0.1", self.port, self.database, options
        ).render_as_string(hide_password=False)

    @property
    def texts(self) -> list[str]:
        """The texts of all statements that it was sent, except what SQLAlchemy's dialect asks."""
        return [each.text for each in self.statements if _plain(each.text) not in _DIALECT]

    def note(self, seen: Login | Request | None) -> None:
        """Note what was sent; None is an attention."""
        with self._lock:
            match seen:
                case Login():
                    self.logins.append(seen)
                case Request():
                    self.statements.append(seen)
                case None:
                    self.attentions += 1

    def answer_to(self, request: Request) -> Answer:
        """Return the answer to a statement."""
        text = _plain(request.text)
        answer = self.answers.get(text)
        if answer is None:
            if text.upper().startswith("SET "):
                return Nothing()
            return Failure(102, f"No answer was given to this server for: {text}")
        return answer(*request.parameters) if callable(answer) else answer

    def hang_up(self) -> None:
        """End all connections, as an administrator does who kills the sessions."""
        self._listener.hang_up()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._thread.join()
        self.hang_up()
        # It waits for the threads of all connections.
        self._listener.server_close()
        if self.errors:
            raise self.errors[0]


def _plain(text: str) -> str:
    """Without what a dialect adds to it by laying it out."""
    return " ".join(text.split())


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    # TDS 7 knows no later one; TDS 8 does.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = False

    def __init__(self, server: TdsServer) -> None:
        self._server = server
        self._connections: list[socket.socket] = []
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.append(connection)
        return connection, address

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        _Session(self._server, Wire(request)).run()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        problem = sys.exc_info()[1]
        assert isinstance(problem, Exception)
        self._server.errors.append(problem)

    def hang_up(self) -> None:
        """End all connections."""
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Session:
    """One connection."""

    def __init__(self, server: TdsServer, wire: Wire) -> None:
        self._server = server
        self._wire = wire
        self._nocount = False
        self._transactions = 0
        self._prepared: list[str] = []

    def run(self) -> None:
        """Serve it until either side ends it."""
        try:
            self._prelogin()
            if self._log_in():
                while True:
                    self._serve(*self._wire.receive())
        except Closed:
            pass

    def _prelogin(self) -> None:
        """Say the version and what is to be encrypted ("PRELOGIN"): what each option is, where, how long."""
        kind, _ = self._wire.receive()
        if kind != Packet.PRELOGIN:
            # A TLS handshake comes first with TDS 8, which servers before 2022 do not know.
            raise Closed
        self._wire.send(
            packets_of(
                struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF)
                + bytes([16, 0, 0x03, 0xE8, 0, 0])
                + bytes([self._server.encryption])
            )
        )
        if self._server.tls:
            self._wire.start_tls(self._server.tls)

    def _log_in(self) -> bool:
        kind, payload = self._wire.receive()
        assert kind == Packet.LOGIN
        login = requests.read_login(payload)
        self._server.note(login)
        if self._server.encryption is Encryption.OF_LOGIN:
            self._wire.stop_tls()
        if self._server.login is not None:
            self._answer(self._server.login)
            return False
        if refusal := self._refusal(login):
            self._answer(refusal)
            return False
        self._send(
            Change(Change.PACKET_SIZE, str(SIZE), str(SIZE)),
            Change(Change.DATABASE, login.database, "master"),
            Message(Message.INFO, 5701, f"Changed database context to '{login.database}'."),
            Change(Change.COLLATION, COLLATION),
            LoginAck(),
            Done(),
        )
        return True

    def _refusal(self, login: Login) -> list[Failure]:
        refused = Failure(18456, f"Login failed for user '{login.user}'.", severity=14)
        if (login.user, login.password) != (self._server.user, self._server.password):
            return [refused]
        if login.database != self._server.database:
            text = f'Cannot open database "{login.database}" requested by the login. The login failed.'
            return [Failure(4060, text, severity=11), refused]
        return []

    def _serve(self, kind: int, payload: bytes) -> None:
        match kind:
            case Packet.BATCH:
                request = requests.read_batch(payload)
                self._server.note(request)
                self._remember(request.text)
                self._answer(self._server.answer_to(request))
            case Packet.RPC:
                self._call(requests.read_call(payload))
            case Packet.TRANSACTION:
                self._transact(requests.without_headers(payload))
            case Packet.ATTENTION:
                self._acknowledge()
            case _:
                raise AssertionError(f"a packet of type {kind:#x}")

    def _remember(self, text: str) -> None:
        if text.strip().upper().startswith("SET NOCOUNT"):
            self._nocount = text.strip().upper().endswith("ON")

    def _call(self, request: Request) -> None:
        """Run a prepared statement or a procedure ("RPC Request")."""
        match request.procedure:
            case requests.UNPREPARE:
                self._send(*tokens_of(Procedure([])))
                return
            case requests.PREPARE:
                self._prepared.append(request.text)
                self._send(*_called([], handle=len(self._prepared)))
                return
            case requests.EXECUTE:
                handle, *parameters = request.parameters
                assert isinstance(handle, int)
                request = Request(self._prepared[handle - 1], parameters, request.procedure)
            case requests.PREPARE_AND_EXECUTE:
                self._prepared.append(request.text)
        self._server.note(request)
        answer = self._server.answer_to(request)
        handle = len(self._prepared) if request.procedure == requests.PREPARE_AND_EXECUTE else None
        self._answer(answer, handle, in_procedure=True)

    def _transact(self, content: bytes) -> None:
        """Begin or end a transaction ("Transaction Manager Request"): the name of one is empty, then come the flags."""
        what = int.from_bytes(content[:2], "little")
        begins_another = content[3:4] == b"\x01"
        current = struct.pack("<Q", self._transactions)
        match what:
            case 5:
                self._send(self._begun(), Done(command=Command.BEGIN))
            case 7 | 8:
                kind, command = {7: (Change.COMMIT, Command.COMMIT), 8: (Change.ROLLBACK, Command.ROLLBACK)}[what]
                ended: list[Token] = [Change(kind, b"", current)]
                if begins_another:
                    ended.append(self._begun())
                self._send(*ended, Done(command=command))
            case _:
                raise AssertionError(f"a transaction manager request {what}")

    def _begun(self) -> Change:
        self._transactions += 1
        return Change(Change.BEGIN, struct.pack("<Q", self._transactions))

    def _acknowledge(self) -> None:
        self._server.note(None)
        self._send(Done(Status.ATTENTION, Command.ATTENTION))

    def _answer(self, answer: Answer, handle: int | None = None, *, in_procedure: bool = False) -> None:
        plain = answer.answer if isinstance(answer, Cut | Silence) else answer
        content = packets_of(_encoded(self._tokens_of(plain, handle, in_procedure=in_procedure)))
        match answer:
            case Cut(_, after_bytes, by_reset):
                self._wire.send(content[:after_bytes])
                if by_reset:
                    self._wire.reset()
                raise Closed
            case Silence(_, after_bytes, acknowledges_attention):
                self._wire.send(content[:after_bytes])
                while self._wire.receive()[0] != Packet.ATTENTION or not acknowledges_attention:
                    self._server.note(None)
                self._acknowledge()
            case _:
                self._wire.send(content)

    def _tokens_of(self, answer: Plain, handle: int | None, *, in_procedure: bool) -> Sequence[Token]:
        if not in_procedure:
            return tokens_of(answer, nocount=self._nocount)
        if not isinstance(answer, Procedure):
            results = [answer] if isinstance(answer, Part) else answer
            answer = Procedure(results)
        return _called(tokens_of(answer, nocount=self._nocount)[:-2], handle, answer.returns)

    def _send(self, *tokens: Token) -> None:
        self._wire.send(packets_of(_encoded(tokens)))


def _called(results: Sequence[Token], handle: int | None, returns: int = 0) -> list[Token]:
    values = [] if handle is None else [ReturnValue(handle)]
    return [*results, ReturnStatus(returns), *values, Done(Status.FINAL, Command.EXECUTE, 0, Done.PROCEDURE)]


def _encoded(tokens: Sequence[Token]) -> bytes:
    return b"".join(token.encode() for token in tokens)
