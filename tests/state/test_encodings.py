"""A state store must be able to hold every name: on PostgreSQL its encoding is UTF8."""

import pytest
from sqlalchemy import URL, text

from syncd.errors import StateUnreachable, StateUnusable
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store
from tests.support.databases import encoded_postgres


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "WIN1252", "EUC_JP"])
def test_a_store_with_another_encoding_than_utf_8_is_refused(postgres_server: URL, encoding: str) -> None:
    with encoded_postgres(postgres_server, encoding) as url:
        store = Store(url, ValueCipher())
        for use in (store.revision, store.check_writable, store.upgrade, locked(store, 1, Purpose.WRITING).__enter__):
            with pytest.raises(StateUnusable, match=rf"has the encoding {encoding}, .* ENCODING 'UTF8'") as refusal:
                use()
            # The daemon would wait for one that is unreachable.
            assert not isinstance(refusal.value, StateUnreachable)
        store.close()


@pytest.mark.parametrize("encoding", ["latin1", "sql_ascii", "utf8"])
def test_a_client_encoding_in_the_url_or_environment_is_ignored(
    postgres_url: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    store = Store(f"{postgres_url}{'&' if '?' in postgres_url else '?'}client_encoding={encoding}", ValueCipher())
    with store.begin() as connection:
        assert connection.scalar(text("SELECT 'Ł' || :name"), {"name": "ukasz Żółć 😀"}) == "Łukasz Żółć 😀"
    store.close()
