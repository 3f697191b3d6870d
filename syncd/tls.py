"""The certificates that syncd trusts: those of this machine's own store, and those of one more file."""

import os
import ssl
from functools import cache
from pathlib import Path
from typing import Final

import truststore

from syncd.secret_file import unreadable

#: OpenSSL ignores one that does not exist, and then trusts other certificates than the operator meant.
_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")

REMEDY: Final = (
    "If this network inspects TLS, add the certificate of its CA to this machine's store, or name its file in "
    "onefile.ca_file"
)


@cache
def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """A context for a client that trusts this machine's store and, besides, the certificates in ``ca_file``.

    There is one for all clients of this process: reading the certificates takes longer than a call.
    Raises `ValueError` with a sentence that names the key or the variable.
    """
    for variable in _VARIABLES:
        if named := os.environ.get(variable, ""):
            _check(Path(named), variable)
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is not None:
        try:
            load_certificates(ca_file, context)
        except ValueError as problem:
            raise ValueError(f"onefile.ca_file: {problem}.") from None
    return context


def load_certificates(ca_file: Path, context: ssl.SSLContext) -> None:
    """Have a context trust the certificates of a file. Raises `ValueError` with the end of a sentence."""
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        raise ValueError(
            f"{ca_file} has no certificates in PEM, which begin with -----BEGIN CERTIFICATE-----"
        ) from None
    except OSError as problem:
        raise ValueError(unreadable(ca_file, problem)) from None


def _check(named: Path, variable: str) -> None:
    try:
        if variable == "SSL_CERT_DIR":
            list(named.iterdir())
        else:
            load_certificates(named, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except OSError as problem:
        what = unreadable(named, problem)
    except ValueError as problem:
        what = str(problem)
    else:
        return
    raise ValueError(
        f"The environment variable {variable}: {what}. Correct it, or remove it to trust this machine's own store."
    ) from None
