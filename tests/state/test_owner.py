"""A store is one OneFile's, and one customer's."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from syncd.state.db import owner
from syncd.state.db.store import Store

_NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def test_store_belongs_to_the_host_that_claims_it_first(store: Store) -> None:
    assert owner.claim(store, "wsapi2.onefile.co.uk", _NOW) == ("wsapi2.onefile.co.uk", "", _NOW)
    again = owner.claim(store, "wsapi.onefile.co.uk", _NOW + timedelta(days=1))
    assert again == ("wsapi2.onefile.co.uk", "", _NOW)
    with store.begin() as connection:
        owner.note_customer(connection, owner.customer_hash("a token"))
    assert owner.claim(store, "wsapi.onefile.co.uk", _NOW).customer == owner.customer_hash("a token")


def test_simultaneous_first_claims_agree_on_one_host(store: Store) -> None:
    hosts = [f"host{number}" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda host: owner.claim(store, host, _NOW).onefile, hosts))
    assert len(set(found)) == 1
    assert found[0] in hosts


def test_customer_hash_is_stable_and_does_not_contain_the_token() -> None:
    assert owner.customer_hash("a token") == owner.customer_hash("a token")
    assert owner.customer_hash("a token") != owner.customer_hash("another")
    assert "token" not in owner.customer_hash("a token")
