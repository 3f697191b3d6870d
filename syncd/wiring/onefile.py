"""OneFile for somebody who begins: there is a customer token, and neither a configuration nor a state store yet."""

from collections.abc import Iterator
from contextlib import contextmanager

from syncd.onefile import OneFile, Pacer
from syncd.settings import OneFileSettings
from syncd.state.db.encryption import Vault
from syncd.state.db.store import empty_store
from syncd.state.rate_limit import StoredTurns
from syncd.wiring.bounded_wait import Impatient
from syncd.wiring.clock import now


@contextmanager
def open_onefile(url: str, customer_token: str) -> Iterator[OneFile]:
    """OneFile at this address, to ask what there is."""
    per_minute: int = OneFileSettings.model_fields["calls_per_minute"].default
    turns = StoredTurns(empty_store(Vault()), customer_token)
    with OneFile(
        url, customer_token, Pacer(turns, per_minute, clock=now, sleep=Impatient().wait), clock=now
    ) as onefile:
        yield onefile
