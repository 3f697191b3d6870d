"""Proxies and certificates, with a real proxy and a real TLS server in front of the simulator."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
from pydantic import SecretStr

from syncd import tls
from syncd.errors import ConfigurationError, OneFileUnreachable
from syncd.notify.heartbeat import Heartbeat
from syncd.onefile import OneFile, RateLimiter
from syncd.proxy import parse_proxy, proxy_for
from syncd.route import Route
from syncd.simulator import LimiterShape, Simulator, Switches
from tests.support.certificates import Authority, self_signed
from tests.support.configuration import GOOD, SECRET, Configuration
from tests.support.onefile import SEED, MemoryRateLimit
from tests.support.proxies import Listening, proxy_to, tls_in_front_of

#: Only the proxy of a test can find it.
_HOST = "onefile.syncd-test.invalid"
_URL = f"https://{_HOST}/api/v2.1"
_PASSWORD = "zz-proxy-password"
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

Call = Callable[..., str]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    tls.tls_context.cache_clear()
    yield
    tls.tls_context.cache_clear()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def onefile(stack: ExitStack, authority: Authority) -> Listening:
    """The simulator behind TLS, with a certificate of an authority that no machine knows."""
    return stack.enter_context(_behind_tls(stack, authority.certificate(_HOST)))


def _behind_tls(stack: ExitStack, certificate: Path) -> AbstractContextManager[Listening]:
    simulator = stack.enter_context(Simulator(Switches(limiter=LimiterShape.OFF), SEED, customer_token="zz-token"))
    return tls_in_front_of(int(urlsplit(simulator.origin).port or 0), certificate)


def _call(url: str = _URL, **route: Any) -> str:
    """Ask OneFile for its customer; returns the customer's name."""
    limiter = RateLimiter(MemoryRateLimit(), 60_000, clock=_now, sleep=lambda _seconds: False)
    with OneFile(url, "zz-token", limiter, clock=_now, timeout_seconds=10, route=Route.to(url, **route)) as client:
        return client.customer().name


def _now() -> datetime:
    return datetime.now(UTC)


def _refusal(url: str = _URL, **route: Any) -> str:
    with pytest.raises(OneFileUnreachable) as refusal:
        _call(url, **route)
    said = str(refusal.value)
    assert _PASSWORD not in said
    return said


def test_onefile_is_reached_through_a_proxy_of_the_configuration(
    stack: ExitStack, onefile: Listening, authority: Authority
) -> None:
    proxy = stack.enter_context(proxy_to(onefile.port))

    assert _call(proxy=f"http://ann%40college:{_PASSWORD}@127.0.0.1:{proxy.port}", ca_file=authority.file)

    head = proxy.heads[0].lower()
    assert head.startswith(f"connect {_HOST}:443 http/1.1")
    # ann@college and the password.
    assert "proxy-authorization: basic yw5uqgnvbgxlz2u6enotchjvehktcgfzc3dvcmq=" in head
    assert "x-customertoken" not in head


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["", "http://"])
def test_onefile_is_reached_through_a_proxy_of_the_environment(
    stack: ExitStack,
    onefile: Listening,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    scheme: str,
) -> None:
    proxy = stack.enter_context(proxy_to(onefile.port))
    monkeypatch.setenv(variable, f"{scheme}127.0.0.1:{proxy.port}")

    assert _call(ca_file=authority.file)
    assert proxy.heads


def test_proxy_of_the_configuration_wins_and_an_empty_one_is_none(
    stack: ExitStack, onefile: Listening, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = (stack.enter_context(proxy_to(onefile.port)) for _ in range(2))
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{theirs.port}")

    assert _call(proxy=f"127.0.0.1:{ours.port}", ca_file=authority.file)
    assert ours.heads
    assert theirs.heads == []
    assert f"OneFile at {_HOST} cannot be reached: " in _refusal(proxy="")
    assert theirs.heads == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("407 Proxy Authentication Required", "407 Proxy Authentication Required; it wants a user and a password"),
        ("403 Forbidden", "403 Forbidden"),
        ("502 Bad Gateway", "502 Bad Gateway"),
        ("302 Found\r\nLocation: http://127.0.0.1:1/", "302 Found"),
    ],
)
def test_proxy_that_does_not_connect_is_named_with_its_variable(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch, answer: str, said: str
) -> None:
    proxy = stack.enter_context(proxy_to(1, answer))
    monkeypatch.setenv("HTTPS_PROXY", f"http://ann:{_PASSWORD}@127.0.0.1:{proxy.port}")

    refusal = _refusal()

    assert f"The proxy 127.0.0.1:{proxy.port} (HTTPS_PROXY) does not connect to OneFile at {_HOST}: {said}" in refusal


def test_proxy_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"ann:{_PASSWORD}@127.0.0.1:1")
    assert _refusal() == "The proxy 127.0.0.1:1 (https_proxy) cannot be reached: Connection refused."
    assert "The proxy 127.0.0.1:1 (onefile.proxy) cannot be reached: " in _refusal(proxy="127.0.0.1:1")


def test_proxy_that_hangs_up_is_named(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = stack.enter_context(proxy_to(1, hangs_up=True))
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
    assert f"through the proxy 127.0.0.1:{proxy.port} (https_proxy)" in _refusal()


def test_authority_of_the_network_is_trusted_by_ca_file_and_by_the_machines_store(
    stack: ExitStack, onefile: Listening, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{stack.enter_context(proxy_to(onefile.port)).port}")

    said = _refusal()
    assert said.startswith(f"OneFile at {_HOST} cannot be reached: certificate verify failed: ")
    assert said.endswith("add the certificate of its CA to this machine's store, or name its file in onefile.ca_file.")

    assert _call(ca_file=authority.file)

    tls.tls_context.cache_clear()
    # The variables are how OpenSSL is told where the machine's store is.
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    assert _call()


def test_certificate_of_another_host_is_refused(
    stack: ExitStack, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = stack.enter_context(_behind_tls(stack, authority.certificate("other.invalid")))
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{stack.enter_context(proxy_to(server.port)).port}")
    assert "cannot be reached: certificate verify failed: Hostname mismatch" in _refusal(ca_file=authority.file)


def test_certificate_that_nobody_vouches_for_is_refused(
    stack: ExitStack, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = stack.enter_context(_behind_tls(stack, self_signed(tmp_path, _HOST)))
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{stack.enter_context(proxy_to(server.port)).port}")
    assert "cannot be reached: certificate verify failed: self" in _refusal(ca_file=authority.file)


def test_plain_http_through_the_proxy_is_named_as_no_tls(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = stack.enter_context(Simulator(Switches(limiter=LimiterShape.OFF), SEED))
    proxy = stack.enter_context(proxy_to(int(urlsplit(simulator.origin).port or 0)))
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
    assert (
        f"OneFile at {_HOST} cannot be reached through the proxy 127.0.0.1:{proxy.port} (https_proxy): " in _refusal()
    )


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_misspelt_variable_of_certificates_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError) as refusal:
        _call()
    said = str(refusal.value)
    assert said.startswith(f"The environment variable {variable}: {tmp_path / 'missing'} cannot be read by ")
    assert said.endswith("Correct it, or remove it to trust this machine's own store.")


def test_file_of_certificates_without_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="has no certificates in PEM"):
        _call(ca_file=empty)
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE: .* has no certificates in PEM"):
        _call()


@pytest.mark.parametrize(
    ("text", "shown", "credentials"),
    [
        ("proxy:8080", "http://proxy:8080", None),
        ("proxy", "http://proxy:1080", None),
        ("http://proxy.example.ac.uk:8080/", "http://proxy.example.ac.uk:8080", None),
        ("HTTP://proxy:8080", "http://proxy:8080", None),
        ("https://proxy", "https://proxy:443", None),
        ("http://[::1]:8080", "http://[::1]:8080", None),
        ("http://ann:b%40c@proxy:1", "http://proxy:1", ("ann", "b@c")),
        ("http://ann:b@c:d@proxy:1", "http://proxy:1", ("ann", "b@c:d")),
        ("college\\ann:x@proxy:1", "http://proxy:1", ("college\\ann", "x")),
        ("ann@proxy:1", "http://proxy:1", ("ann", "")),
    ],
)
def test_proxy_is_read_as_curl_reads_it(text: str, shown: str, credentials: tuple[str, str] | None) -> None:
    proxy = parse_proxy(text, "X")
    assert proxy is not None
    assert (f"{proxy.scheme}://{proxy.host}:{proxy.port}", proxy.credentials) == (shown, credentials)
    assert str(proxy.for_httpx.url).startswith(shown.removesuffix(":443"))
    assert str(proxy) == f"{proxy.host}:{proxy.port} (X)"
    assert "credentials" not in repr(proxy)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("socks5://proxy:1080", "names a SOCKS proxy, which syncd cannot use"),
        ("socks5h://proxy", "names a SOCKS proxy"),
        ("socks4://proxy", "names a SOCKS proxy"),
        ("ftp://proxy:21", "names a proxy of an unknown kind"),
        ("http://proxy:port", "has a port that is not a number from 1 to 65535"),
        ("http://proxy:0", "has a port"),
        ("http://proxy:65536", "has a port"),
        (f"http://proxy:{'9' * 30}", "has a port"),
        ("http://proxy:٣", "has a port"),
        ("http://", "is not the address of a proxy"),
        ("http://:8080", "is not the address of a proxy"),
        ("http://pro xy:8080", "is not the address of a proxy"),
        ("http://proxy:8080/path", "is not the address of a proxy"),
        ("http://[::1", "is not the address of a proxy"),
        ("://", "is not the address of a proxy"),
        (f"http//ann:{_PASSWORD}@proxy:8o80", "has a port"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", ""])
def test_proxy_that_cannot_be_used_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str, variable: str
) -> None:
    if variable:
        monkeypatch.setenv(variable, text)
        with pytest.raises(ConfigurationError, match=r"^The environment variable HTTPS_PROXY ") as refusal:
            _call()
    else:
        with pytest.raises(ConfigurationError, match=r"^onefile\.proxy ") as refusal:
            _call(proxy=text)
    assert said in str(refusal.value)
    assert _PASSWORD not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "environment", "origin"),
    [
        ("https://a.example", {}, None),
        ("https://a.example", {"https_proxy": "p:1", "HTTPS_PROXY": "q:1", "ALL_PROXY": "r:1"}, "https_proxy"),
        ("https://a.example", {"https_proxy": "", "HTTPS_PROXY": " q:1 ", "ALL_PROXY": "r:1"}, "HTTPS_PROXY"),
        ("https://a.example", {"http_proxy": "p:1", "HTTP_PROXY": "q:1"}, None),
        ("http://a.example", {"http_proxy": "p:1", "https_proxy": "q:1"}, "http_proxy"),
        ("http://a.example", {"HTTP_PROXY": "q:1"}, None),
        ("http://a.example", {"HTTP_PROXY": "q:1", "ALL_PROXY": "r:1"}, "ALL_PROXY"),
        *(
            (f"https://{host}", {"https_proxy": "p:1", "no_proxy": listed}, origin)
            for host, listed, origin in (
                ("a.example", "*", None),
                ("a.example", "a.example", None),
                ("a.example", "A.Example.", None),
                ("a.example", ".example", None),
                ("a.example", "example", None),
                ("a.example", "b.example, a.example", None),
                ("a.example", "b.example a.example", None),
                ("a.example", "ample", "https_proxy"),
                ("a.example", "b.a.example", "https_proxy"),
                ("a.example", "", "https_proxy"),
                ("a.example", ",", "https_proxy"),
                ("a.example", ".", "https_proxy"),
                ("10.1.2.3", "10.0.0.0/8", None),
                ("10.1.2.3", "10.1.2.3", None),
                ("10.1.2.3", "10.1.2.4", "https_proxy"),
                ("[fd00::1]", "fd00::/8", None),
                ("127.0.0.1", "", None),
                ("localhost", "", None),
            )
        ),
        ("https://a.example", {"https_proxy": "p:1", "no_proxy": "", "NO_PROXY": "a.example"}, None),
        ("https://a.example", {"https_proxy": "p:1", "no_proxy": "b.example", "NO_PROXY": "a.example"}, "https_proxy"),
    ],
)
def test_environment_is_read_as_curl_reads_it(url: str, environment: dict[str, str], origin: str | None) -> None:
    proxy = proxy_for(url, environment)
    assert (proxy and proxy.origin) == origin


def test_heartbeat_goes_through_the_proxy_and_a_bad_one_does_not_stop_the_daemon(
    stack: ExitStack, onefile: Listening, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[dict[str, Any]] = []

    class _Log:
        def warning(self, event: str, **fields: Any) -> None:
            events.append({"event": event, **fields})

    log: Any = _Log()
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy:1080")
    Heartbeat(SecretStr(f"https://{_HOST}/zz-secret"), log).beat()
    assert "The environment variable HTTPS_PROXY names a SOCKS proxy" in events[0]["reason"]

    proxy = stack.enter_context(proxy_to(onefile.port))
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    tls.tls_context.cache_clear()
    Heartbeat(SecretStr(f"https://{_HOST}/zz-secret"), structlog.get_logger()).beat()
    assert proxy.heads


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    return Configuration(tmp_path, monkeypatch)


def test_configuration_names_a_proxy_and_a_file_of_certificates(
    configuration: Configuration, authority: Authority
) -> None:
    given = configuration.load().onefile
    assert (given.proxy_url, given.ca_file) == (None, None)

    keys = f'{GOOD["[onefile]"]}\nca_file = "../authority.pem"\n'
    (configuration.folder / "proxy").write_text(f"http://ann:{SECRET}@proxy:8080\r\n", encoding="utf-8-sig")
    given = configuration.load({"[onefile]": f'{keys}proxy_file = "proxy"'}).onefile
    assert given.proxy_url == f"http://ann:{SECRET}@proxy:8080"
    assert given.ca_file is not None
    assert given.ca_file.samefile(authority.file)
    assert SECRET not in repr(given)
    assert configuration.load(SYNCD_ONEFILE__PROXY="").onefile.proxy_url == ""


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('proxy = "socks5://proxy:1080"', "FILE: onefile.proxy: names a SOCKS proxy, which syncd cannot use"),
        (f'proxy = "http://ann:{SECRET}@proxy:port"', "FILE: onefile.proxy: has a port that is not a number from 1 to"),
        ('ca_file = "missing.pem"', "FILE: onefile.ca_file: FOLDER/missing.pem cannot be read by USER: No such file"),
        ('ca_file = "syncd.toml"', "FILE: onefile.ca_file: FILE has no certificates in PEM"),
    ],
)
def test_configuration_that_cannot_be_used_is_refused(configuration: Configuration, keys: str, said: str) -> None:
    assert configuration.complaint({"[onefile]": f"{GOOD['[onefile]']}\n{keys}"}).startswith(said)
