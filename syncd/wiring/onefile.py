"""OneFile for the first steps: with a customer token, but without a configuration or a state store."""

from collections.abc import Iterator
from contextlib import contextmanager

from syncd.errors import ConfigurationError
from syncd.onefile import OneFile, RateLimiter
from syncd.settings import OneFileSettings
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import empty_store
from syncd.state.rate_limit import StoredRateLimit
from syncd.wiring.bounded_wait import ShortWait
from syncd.wiring.clock import now


def check_token(customer_token: str) -> None:
    """Raises `ConfigurationError`, without the token, if it is one that cannot be sent."""
    if not (customer_token.isascii() and customer_token.isprintable()) or " " in customer_token:
        raise ConfigurationError(
            "onefile.customer_token is not a customer token: it holds characters that none has. Copy it again, alone."
        )


@contextmanager
def open_onefile(url: str, customer_token: str) -> Iterator[OneFile]:
    """Return a client for OneFile at this address, for reading. Raises `ConfigurationError`."""
    check_token(customer_token)
    per_minute: int = OneFileSettings.model_fields["calls_per_minute"].default
    turns = StoredRateLimit(empty_store(ValueCipher()), customer_token)
    with OneFile(
        url, customer_token, RateLimiter(turns, per_minute, clock=now, sleep=ShortWait().wait), clock=now
    ) as onefile:
        yield onefile
