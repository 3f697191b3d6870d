"""What keeps a reader out of SQL Server: the real driver logs in to a small server of its protocol, over a socket."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
from cryptography.x509 import DNSName, IPAddress
from sqlalchemy import make_url

from syncd.errors import ConfigurationError, MisUnreachable
from syncd.mis import Mis
from syncd.mis.error_messages import explain_unreadable
from tests.support.certificates import Authority, self_signed
from tests.support.tds import Encryption, Failure, TdsServer

pytestmark = pytest.mark.mssql

_SECRET = "Pa55word"


def _why_not(url: str) -> str:
    with pytest.raises(MisUnreachable) as failure, Mis(url).connect():
        pass
    sentence = str(failure.value)
    assert _SECRET not in sentence
    assert "\n" not in sentence
    assert not re.search(r"\[|error:0A|0x27|Driver Error", re.sub(r"\(code 0x\w+\)", "", sentence)), sentence
    return sentence.partition("cannot be reached: ")[2]


def _connects(url: str) -> bool:
    with Mis(url).connect():
        return True


@contextmanager
def _with_tls(certificate: Path) -> Iterator[TdsServer]:
    with TdsServer({}, encryption=Encryption.ON, certificate=certificate) as server:
        yield server


def test_a_self_signed_certificate_is_named_with_what_to_write(tmp_path: Path) -> None:
    with _with_tls(self_signed(tmp_path)) as server:
        assert _why_not(server.url()) == (
            "SSL Provider: certificate verify failed: self-signed certificate. "
            "If you trust the network between this machine and the server, add TrustServerCertificate=yes to "
            "source.url."
        )
        assert _connects(server.url(TrustServerCertificate="yes"))


def test_an_unknown_issuer_is_named_and_the_machine_s_store_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    with _with_tls(authority.certificate("localhost")) as server:
        url = server.url().replace("127.0.0.1", "localhost")
        sentence = _why_not(url)
        assert sentence.startswith("SSL Provider: certificate verify failed: unable to get local issuer certificate. ")
        assert "this machine's certificate store" in sentence
        # With Encrypt=yes the driver does not look at this option.
        assert _why_not(f"{url}?ServerCertificate={authority.file}") == sentence
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert _connects(url)


def test_an_address_is_compared_with_the_names_in_a_certificate_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver does not look at the certificate's addresses, nor at its common name."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with _with_tls(authority.certificate("127.0.0.1", [IPAddress(ip_address("127.0.0.1"))])) as server:
        assert "HostNameInCertificate=" in _why_not(server.url())
    with _with_tls(authority.certificate("127.0.0.1", [DNSName("127.0.0.1")])) as server:
        assert _connects(server.url())


def test_another_host_s_certificate_is_named_and_its_host_can_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with _with_tls(authority.certificate("sql01.example")) as server:
        assert _why_not(server.url()) == (
            "SSL Provider: certificate verify failed: subject name does not match host name. Write the server's name "
            "in source.url as its certificate has it, or add HostNameInCertificate=… with that name."
        )
        assert _connects(server.url(HostNameInCertificate="sql01.example"))


def test_a_server_without_tls_is_named_with_what_to_write() -> None:
    with TdsServer({}) as server:
        assert _why_not(server.url()) == (
            "Encryption not supported on SQL Server. The server has TLS switched off: switch it on, or add Encrypt=no "
            "to source.url if the network is trusted."
        )
        assert _connects(server.url(Encrypt="no"))


@pytest.mark.parametrize("driver", ["mssql", "mssql+mssqlpython"])
@pytest.mark.parametrize(
    ("option", "value", "meant"),
    [
        ("TrustServerCertificate", "true", "Write TrustServerCertificate=yes."),
        ("trustservercertificate", "True", "Write TrustServerCertificate=yes."),
        ("TrustServerCertificate", "1", "Write TrustServerCertificate=yes."),
        ("TrustServerCertificate", _SECRET, "Write TrustServerCertificate=yes or TrustServerCertificate=no."),
        ("Encrypt", "false", "Write Encrypt=no."),
        ("Encrypt", "on", "Write Encrypt=yes or Encrypt=no or Encrypt=strict or "),
        ("Trusted_Connection", "true", "Write Trusted_Connection=yes."),
        ("MultiSubnetFailover", "true", "Write MultiSubnetFailover=yes."),
    ],
)
def test_unaccepted_option_value_is_refused_naming_the_right_value(
    driver: str, option: str, value: str, meant: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"^source\.url: ") as refusal:
        Mis(f"{driver}://reader@sql.example/mis?{option}={value}")
    assert meant in str(refusal.value)
    assert _SECRET not in str(refusal.value)


@pytest.mark.parametrize("word", ["yes", "Yes", "YES", "no"])
def test_words_that_the_driver_accepts_in_any_case_are_left(word: str) -> None:
    with TdsServer({}) as server:
        assert _connects(server.url(Encrypt="no", TrustServerCertificate=word))


_LOGIN_FAILED = "Login failed for user 'reader'"


@pytest.mark.parametrize(
    ("number", "text", "remedy"),
    [
        (18456, f"{_LOGIN_FAILED}.", "Check the user and the password"),
        (18470, f"{_LOGIN_FAILED}. Reason: The account is disabled.", "The account is disabled. Check the user"),
        (18488, f"{_LOGIN_FAILED}.  Reason: The password of the account must be changed.", "must be changed."),
        (
            4060,
            'Cannot open database "mis" requested by the login. The login failed.',
            "Check the database's name in source.url, and that this login may use it.",
        ),
        (
            916,
            (
                'The server principal "reader" is not able to access the database "mis" under the current security '
                "context."
            ),
            "Check the database's name",
        ),
        (
            18452,
            "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.",
            "Windows sign-in needs a Kerberos ticket",
        ),
    ],
)
def test_refused_login_is_reported_in_the_servers_words_with_a_remedy(number: int, text: str, remedy: str) -> None:
    with TdsServer({}, login=Failure(number, text, severity=14)) as server:
        sentence = _why_not(server.url(Encrypt="no"))
    assert sentence.startswith(text.rstrip("."))
    assert remedy in sentence


def test_wrong_password_is_reported_with_a_hint_about_encoding() -> None:
    with TdsServer({}, password="another") as server:
        sentence = _why_not(make_url(server.url(Encrypt="no")).set(password=_SECRET).render_as_string(False))
    assert "a password in the key source.password needs no encoding" in sentence


@pytest.mark.parametrize("option", ["Trusted_Connection=yes", "Authentication=ActiveDirectoryIntegrated"])
def test_windows_sign_in_without_a_ticket_is_reported_with_a_remedy(
    option: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'nothing'}")
    with TdsServer({}) as server:
        sentence = _why_not(f"mssql://127.0.0.1:{server.port}/college?{option}&Encrypt=no")
    assert sentence.startswith("SSPI Provider: ")
    assert "run kinit with a keytab as the user that syncd runs as, and set KRB5CCNAME" in sentence


@pytest.mark.parametrize(
    "password", ["a@b", "p:/?#[]@", "50%off", "%40", "semi;colon", "{brace}", "ä€ß", "a b+c", "=x"]
)
def test_a_password_reaches_the_server_as_it_is(password: str) -> None:
    with TdsServer({}, password=password) as server:
        assert _connects(server.url(Encrypt="no"))
        assert server.logins[0].password == password


@pytest.mark.parametrize("password", [" lead and trail ", " ; ", " {"])
@pytest.mark.parametrize(
    "options", [{"Encrypt": "no"}, {"driver": "FreeTDS", "TDS_Version": "7.4"}], ids=["", "pyodbc"]
)
def test_blanks_around_a_password_reach_the_server(password: str, options: dict[str, str]) -> None:
    driver = "mssql+pyodbc" if "driver" in options else "mssql+mssqlpython"
    with TdsServer({}, password=password) as server:
        assert _connects(server.url(driver, **options))
        assert server.logins[0].password == password


@pytest.mark.slow
def test_a_refused_connection_is_said_in_words() -> None:
    """The driver tries for a quarter of a minute."""
    sentence = _why_not(f"mssql://reader:{_SECRET}@127.0.0.1:1/mis")
    assert sentence == (
        "TCP Provider: the connection was refused (code 0x2749). "
        "Check the host and the port in source.url, and that no firewall is in between."
    )


@pytest.mark.slow
def test_a_name_that_cannot_be_resolved_is_said_in_words() -> None:
    """A label of more than 63 characters is refused on this machine, without asking a name server."""
    sentence = _why_not(f"mssql://reader:{_SECRET}@{'x' * 70}:1/mis")
    assert sentence.startswith("TCP Provider: the server's name cannot be resolved (code 0x2AF9). Check the host ")


@pytest.mark.slow
@pytest.mark.parametrize("separator", ["\\", "%5C", "%5c"])
def test_instance_with_silent_browser_is_reported_asking_for_a_port(separator: str) -> None:
    url = f"mssql://reader:{_SECRET}@127.0.0.1{separator}PROSOLUTION/mis"
    assert str(Mis(url)) == r"mssql://reader:***@127.0.0.1\PROSOLUTION/mis"
    sentence = _why_not(url)
    assert sentence.startswith("SQL Server Network Interfaces: Error Locating Server/Instance Specified. ")
    assert "host,port" in sentence
    assert "SQL Server Browser answers on UDP port 1434" in sentence


@pytest.mark.parametrize("place", ["127.0.0.1:PORT", "127.0.0.1,PORT", r"127.0.0.1\COLLEGE:PORT", "127.0.0.1%5CX:PORT"])
def test_a_port_counts_more_than_an_instance(place: str) -> None:
    with TdsServer({}) as server:
        host = place.replace("PORT", str(server.port))
        assert _connects(f"mssql://{server.user}:{server.password}@{host}/{server.database}?Encrypt=no")


def test_other_protocol_on_the_port_is_reported_with_a_hint_to_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=_greet, args=(listener,))
        thread.start()
        sentence = _why_not(f"mssql://reader:{_SECRET}@127.0.0.1:{listener.getsockname()[1]}/mis?Encrypt=no")
        thread.join()
    assert "Check that the port in source.url is the database's own" in sentence


def _greet(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)


_QUERY = "SELECT code AS MISID FROM person"
_VALUE = "Zz-Surname"


@pytest.mark.parametrize(
    ("number", "text", "said"),
    [
        (208, "Invalid object name 'persons'.", "Invalid object name 'persons'."),
        (207, "Invalid column name 'cod'.", "Invalid column name 'cod'."),
        (102, "Incorrect syntax near ')'.", "Incorrect syntax near ')'."),
        (
            229,
            "The SELECT permission was denied on the object 'person', database 'mis', schema 'dbo'.",
            "The SELECT permission was denied on the object 'person', database 'mis', schema 'dbo'.",
        ),
        (1222, "Lock request time out period exceeded.", "another program keeps the rows locked (error 1222)"),
        (
            1205,
            (
                "Transaction (Process ID 52) was deadlocked on lock resources with another process and has been chosen "
                "as the deadlock victim. Rerun the transaction."
            ),
            "(deadlock, error 1205)",
        ),
        (
            245,
            f"Conversion failed when converting the varchar value '{_VALUE}' to data type int.",
            "a value cannot be converted to the type that the query asks for",
        ),
        (
            245,
            f"Conversion failed when converting the varchar value 'Invalid object name {_VALUE}' to data type int.",
            "a value cannot be converted to the type that the query asks for",
        ),
        (8114, "Error converting data type varchar to numeric.", "a value cannot be converted"),
        (8115, "Arithmetic overflow error converting expression to data type int.", "a value cannot be converted"),
        (8134, "Divide by zero error encountered.", "the query divides by zero"),
        (50000, f"Nobody is called {_VALUE}: invalid object name.", "the database refused the query"),
    ],
)
def test_query_error_is_reported_by_its_meaning_without_values(number: int, text: str, said: str) -> None:
    with (
        TdsServer({_QUERY: Failure(number, text)}) as server,
        pytest.raises(MisUnreachable) as failure,
        Mis(server.url(Encrypt="no")).read("learners", _QUERY) as rows,
    ):
        list(rows.stream)
    sentence = str(failure.value)
    assert sentence.startswith("The feed learners cannot be read from the MIS: ")
    assert said in sentence
    assert _VALUE not in sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Objektname 'persons' ist ung\u00fcltig. (208) (SQLExecDirectW)", "Objektname 'persons' ist ung\u00fcltig"),
        ("Fehler bei der Konvertierung von 'Zz-Surname'. (245) (SQLFetch)", "a value cannot be converted"),
        ("Invalid object name Zz-Surname. (50000) (SQLExecDirectW)", "the database refused the query"),
    ],
)
def test_a_number_counts_more_than_the_words_if_the_driver_reports_it(text: str, said: str) -> None:
    """As pyodbc raises them, whatever the language of the login."""
    problem = Exception("42000", f"[42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{text}")
    sentence = explain_unreadable(problem, is_about_query=True, is_lost=False, has_rows=False, seconds=300)
    assert sentence.startswith(said)
    assert _VALUE not in sentence
