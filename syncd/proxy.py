"""The proxy between this machine and a host: the configuration's, else the environment's, read as curl reads it."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    import httpx

#: curl's, for a proxy without a port.
_DEFAULT_PORTS: Final = {"http": 1080, "https": 443}
_PARTS: Final = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?:(?P<user>.*)@)?(?P<host>\[[^\]]*\]|[^:@/\[\]]*)(?::(?P<port>[^:@/]*))?/?"
)
_LARGEST_PORT: Final = 65_535
_WINDOWS: Final = "Windows' proxy settings"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; ``repr()`` and ``str()`` show no password."""

    scheme: str
    host: str
    port: int
    origin: str
    """The variable or key that names it."""
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({self.origin})"

    @property
    def for_httpx(self) -> "httpx.Proxy":
        """The proxy as httpx takes it."""
        # Imported here and below, so that commands that only check the configuration do not wait for it.
        import httpx  # noqa: PLC0415

        return httpx.Proxy(f"{self.scheme}://{self.host}:{self.port}", auth=self.credentials)


def parse_proxy(text: str, origin: str) -> Proxy | None:
    """Return the proxy that ``text`` names, or ``None`` if it is empty; without a scheme it is http.

    Raises `ValueError` with the end of a sentence, which shows nothing of ``text``, since it may hold a password.
    """
    if not text:
        return None
    parts = _PARTS.fullmatch(text)
    if parts is None or not parts["host"] or re.search(r"[\s\x00-\x1f\x7f]", parts["host"]):
        raise ValueError("is not the address of a proxy such as http://proxy.example.ac.uk:8080")
    scheme = (parts["scheme"] or "http").lower()
    if scheme.startswith("socks"):
        raise ValueError("names a SOCKS proxy, which syncd cannot use; name an HTTP proxy such as http://proxy:8080")
    if scheme not in _DEFAULT_PORTS:
        raise ValueError("names a proxy of an unknown kind; name an HTTP proxy such as http://proxy:8080")
    port = parts["port"] or str(_DEFAULT_PORTS[scheme])
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= _LARGEST_PORT):
        raise ValueError(f"has a port that is not a number from 1 to {_LARGEST_PORT}")
    credentials = None
    if parts["user"] is not None:
        user, _, password = parts["user"].partition(":")
        credentials = unquote(user), unquote(password)
    return Proxy(scheme, parts["host"], int(port), origin, credentials)


def proxy_for(url: str, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy of the environment for a URL; ``None`` if there is none, or none for its host.

    Raises `ValueError` with a sentence that names the variable.
    """
    import httpx  # noqa: PLC0415

    target = httpx.URL(url)
    if _is_this_machine(target.host) or _is_excepted(target.host, environment):
        return None
    # As with curl, only the name in lower case counts for http: a web server sets HTTP_PROXY from a header.
    names = ("http_proxy",) if target.scheme == "http" else ("https_proxy", "HTTPS_PROXY")
    for name in (*names, "all_proxy", "ALL_PROXY"):
        if text := environment.get(name, "").strip():
            try:
                return parse_proxy(text, name)
            except ValueError as problem:
                raise ValueError(f"The environment variable {name} {problem}.") from None
    return _of_windows(target) if sys.platform == "win32" else None


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_excepted(host: str, environment: Mapping[str, str]) -> bool:
    """Whether NO_PROXY lists a host: by its name, that of a domain it is in, its address or a network."""
    listed = environment.get("no_proxy", "").strip() or environment.get("NO_PROXY", "").strip()
    if listed == "*":
        return True
    return any(_is_covered(host.lower().rstrip("."), each.lower()) for each in re.split(r"[\s,]+", listed) if each)


def _is_covered(host: str, listed: str) -> bool:
    try:
        return ip_address(host.strip("[]")) in ip_network(listed.strip("[]"), strict=False)
    except (ValueError, TypeError):
        domain = listed.strip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _of_windows(target: "httpx.URL") -> Proxy | None:
    text = "" if proxy_bypass(target.host) else getproxies().get(target.scheme, "")
    try:
        return parse_proxy(text, _WINDOWS)
    except ValueError as problem:
        raise ValueError(f"{_WINDOWS}: the proxy {problem}.") from None
