"""However a connection breaks: no second account, no endless wait, no secret to anybody else, and a plain sentence."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from syncd.core.fields import Role
from syncd.errors import AnswerLost, OneFileUnreachable
from syncd.onefile import OneFile, RateLimiter
from syncd.onefile.requests import create
from syncd.simulator import LimiterShape, Simulator, Switches
from syncd.tls import REMEDY
from tests.support.clocks import Clock
from tests.support.college import Found
from tests.support.onefile import LEARNER, ORGANISATION, SEED, MemoryRateLimit

from .network import Line, Network, Server, Trouble, Work, answer, elsewhere, within

_TIMEOUT: Final = 0.3
_PATIENCE: Final = 3.0
"""Ten times what one call may take: a slow machine passes, and a call without an end does not."""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(Switches(limiter=LimiterShape.OFF), SEED) as simulator:
        yield simulator


@pytest.fixture
def network(simulator: Simulator) -> Iterator[Network]:
    with Network(simulator) as network:
        yield network


@pytest.fixture
def client(network: Network, simulator: Simulator) -> Iterator[OneFile]:
    with _client(network.base_url, simulator.customer_token) as client:
        yield client


@contextmanager
def _client(base_url: str, token: str) -> Iterator[OneFile]:
    time = Clock()
    rate_limiter = RateLimiter(MemoryRateLimit(), 60_000, clock=time, sleep=time.sleep)
    with OneFile(base_url, token, rate_limiter, clock=time, timeout_seconds=_TIMEOUT) as client:
        yield client


def _create(client: OneFile) -> int | None:
    created, _ = client.create(create(Role.LEARNER, ORGANISATION, LEARNER))
    return created.user_id


def _accounts(simulator: Simulator) -> int:
    return len(simulator.world.users_with_misid("L1"))


def _says(said: bytes, *, is_done: bool = True) -> Trouble:
    def trouble(line: Line, work: Work) -> None:
        if is_done:
            work()
        else:
            line.read_request()
        line.say(said)

    return trouble


def _resets(line: Line, work: Work) -> None:
    work()
    line.reset()


def _stalls(line: Line, work: Work) -> None:
    work()
    line.stall()


def _stalls_in_the_headers(line: Line, work: Work) -> None:
    line.say(work()[:30])
    line.stall()


def _stalls_in_the_body(line: Line, work: Work) -> None:
    line.say(work()[:-5])
    line.stall()


def _ends_in_the_body(line: Line, work: Work) -> None:
    line.say(work()[:-5])


def _ends_in_the_headers(line: Line, work: Work) -> None:
    line.say(work()[:30])


def _drips(line: Line, work: Work) -> None:
    line.drip(work(), 0.02)


def _drips_its_body(line: Line, work: Work) -> None:
    work()
    line.say(answer(b"", length=100_000))
    line.drip(b" ", 0.02)


def _never_ends(line: Line, work: Work) -> None:
    work()
    line.say(answer(b"", length=10**12))
    while True:
        line.say(b" " * 1000)


@pytest.mark.parametrize(
    "trouble",
    [
        _resets,
        _stalls,
        _stalls_in_the_headers,
        _stalls_in_the_body,
        _ends_in_the_body,
        _ends_in_the_headers,
        _drips,
        _drips_its_body,
        _never_ends,
    ],
)
def test_create_with_a_broken_answer_is_in_doubt_and_sent_once(
    simulator: Simulator, network: Network, client: OneFile, trouble: Trouble
) -> None:
    network.troubles.append(trouble)
    with within(_PATIENCE), pytest.raises(AnswerLost) as lost:
        _create(client)
    assert lost.value.attempts == 1
    assert (network.creates, _accounts(simulator)) == (1, 1)


def _resets_unread(line: Line, _work: Work) -> None:
    line.reset()


def _resets_undone(line: Line, _work: Work) -> None:
    line.read_request()
    line.reset()


def _stalls_unread(line: Line, _work: Work) -> None:
    line.stall()


def _closes_undone(line: Line, _work: Work) -> None:
    line.read_request()


@pytest.mark.parametrize("trouble", [_resets_unread, _resets_undone, _stalls_unread, _closes_undone])
def test_create_lost_before_processing_is_in_doubt_and_not_repeated(
    simulator: Simulator, network: Network, client: OneFile, trouble: Trouble
) -> None:
    network.troubles.append(trouble)
    with within(_PATIENCE), pytest.raises(AnswerLost):
        _create(client)
    assert (network.creates, _accounts(simulator)) == (1, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Please sign in to the guest network</body></html>",
        b'{"ID": 30',
        b'{"Message": "done"}',
        b'{"ID": -5}',
        b'{"ID": "%s"}' % (b"9" * 5000),
        b"[]",
        b"true",
        b"0",
        b"-5",
        b"1.5",
        b"9" * 19,
        b"9" * 5000,
        b"[" * 100_000,
        b"\xff\xfe{}",
        b'"a session"',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_an_answer_that_is_not_one_to_a_create_leaves_it_in_doubt(
    network: Network, client: OneFile, body: bytes
) -> None:
    network.troubles.append(_says(answer(body)))
    with pytest.raises(AnswerLost) as lost:
        _create(client)
    assert (lost.value.status, network.creates) == (200, 1)


def test_an_answer_that_is_not_even_http_leaves_a_create_in_doubt(network: Network, client: OneFile) -> None:
    rubbish = answer(b"rubbish", b"200 OK", b"Content-Encoding: gzip")
    network.troubles += map(_says, (b"SSH-2.0-OpenSSH_9.6\r\n", rubbish, b"\0" * 99))
    for _ in range(3):
        with pytest.raises(AnswerLost):
            _create(client)
    assert network.creates == 3


def test_a_yes_without_a_body_is_a_yes_without_an_id(simulator: Simulator, network: Network, client: OneFile) -> None:
    network.troubles.append(_says(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert _create(client) is None
    assert (network.creates, _accounts(simulator)) == (1, 1)


def test_create_on_a_refused_connection_is_certainly_not_done(
    simulator: Simulator, network: Network, client: OneFile
) -> None:
    client.organisation(ORGANISATION)
    network.hang_up()
    with pytest.raises(OneFileUnreachable) as unreachable:
        _create(client)
    assert str(unreachable.value) == "OneFile at 127.0.0.1 cannot be reached: Connection refused."
    assert _accounts(simulator) == 0


@pytest.mark.parametrize("head", [b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"])
def test_a_redirect_is_not_followed_and_no_secret_goes_to_another_host(
    network: Network, client: OneFile, head: bytes
) -> None:
    with elsewhere() as (port, requests):
        location = b"Location: http://127.0.0.1:%d/api/v2.1/User" % port
        network.troubles.append(_says(answer(b"", head, location), is_done=False))
        with pytest.raises(AnswerLost) as lost:
            _create(client)
    assert str(lost.value.status) in head.decode()
    assert requests == []


def test_a_log_in_that_is_redirected_is_not_followed_either() -> None:
    with elsewhere() as (port, requests):
        location = b"Location: http://127.0.0.1:%d/api/v2.1/Authentication" % port

        def serve(line: Line) -> None:
            line.read_request()
            line.say(answer(b"", b"307 Temporary Redirect", location))

        with (
            Server(serve) as server,
            _client(f"http://127.0.0.1:{server.port}/api/v2.1", "token") as client,
            pytest.raises(OneFileUnreachable, match="answered the log-in with status 307"),
        ):
            _create(client)
    assert requests == []


@pytest.mark.parametrize("trouble", [_stalls, _drips_its_body])
def test_a_log_in_without_an_end_is_an_unreachable_onefile(trouble: Trouble) -> None:
    def serve(line: Line) -> None:
        trouble(line, line.read_request)

    with (
        Server(serve) as server,
        _client(f"http://127.0.0.1:{server.port}/api/v2.1", "token") as client,
        within(3 * _PATIENCE),
        pytest.raises(OneFileUnreachable, match="did not answer the log-in"),
    ):
        _create(client)


def test_a_server_that_does_not_speak_tls_gets_no_token() -> None:
    heard: list[bytes] = []

    def serve(line: Line) -> None:
        heard.append(line.first_line())
        line.say(answer(b"", b"400 Bad Request"))

    with (
        Server(serve) as server,
        _client(f"https://127.0.0.1:{server.port}/api/v2.1", "secret-token") as client,
        pytest.raises(OneFileUnreachable) as unreachable,
    ):
        _create(client)
    assert heard
    assert not any(b"secret-token" in line or b"Authentication" in line for line in heard)
    _assert_plain(str(unreachable.value))


def test_untrusted_certificate_is_refused_before_any_request(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    heard: list[bytes] = []

    def serve(line: Line) -> None:
        heard.append(line.heard_by(context))

    with (
        Server(serve) as server,
        _client(f"https://127.0.0.1:{server.port}/api/v2.1", "secret-token") as client,
        pytest.raises(OneFileUnreachable) as unreachable,
    ):
        _create(client)
    assert heard == []
    assert "certificate" in str(unreachable.value)
    _assert_plain(str(unreachable.value).removesuffix(f" {REMEDY}."))


@pytest.mark.parametrize("trouble", [_stalls, _drips_its_body, _resets_unread, _ends_in_the_body])
def test_a_pass_over_a_broken_line_leaves_one_account_each(found: Found, trouble: Trouble) -> None:
    college = found()
    college.enrol("L1", "L2", "L3")
    rate_limiter = college.context.onefile.rate_limiter
    with (
        Network(college.onefile) as network,
        OneFile(
            network.base_url,
            college.onefile.customer_token,
            rate_limiter,
            clock=college.clock,
            timeout_seconds=_TIMEOUT,
        ) as client,
    ):
        college.context = replace(college.context, onefile=client)
        network.troubles.append(trouble)

        with within(3 * _PATIENCE):
            first = college.run()
        assert (first.sent, first.in_doubt) == (2, 1)
        assert college.run().is_in_sync

    assert college.in_doubt == 0
    for misid in ("L1", "L2", "L3"):
        assert [user.id for user in college.in_onefile(misid)] == [college.known_id(misid)]


def _assert_plain(sentence: str) -> None:
    assert re.fullmatch(r"OneFile at 127\.0\.0\.1 cannot be reached: [A-Za-z][\w ,:'-]+\.", sentence), sentence


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wsapi2.onefile.co.uk")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
