"""The route to a host on the network: through which proxy, and whose certificates are trusted."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from syncd.errors import ConfigurationError
from syncd.proxy import Proxy, parse_proxy, proxy_for
from syncd.tls import tls_context

_PROXY_KEY: Final = "onefile.proxy"


@dataclass(frozen=True, slots=True)
class Route:
    """How a host is reached."""

    proxy: Proxy | None
    tls: ssl.SSLContext = field(repr=False)

    @classmethod
    def to(cls, url: str, proxy: str | None = None, ca_file: Path | None = None) -> Self:
        """The route to a URL.

        ``proxy`` is the configuration's, "" for none; if it is ``None``, the environment decides. ``ca_file`` has
        certificates that are trusted besides those of the machine. Raises `ConfigurationError`.
        """
        try:
            return cls(proxy_for(url) if proxy is None else _configured(proxy), tls_context(ca_file))
        except ValueError as problem:
            raise ConfigurationError(str(problem)) from None


def _configured(proxy: str) -> Proxy | None:
    try:
        return parse_proxy(proxy, _PROXY_KEY)
    except ValueError as problem:
        raise ValueError(f"{_PROXY_KEY} {problem}.") from None
