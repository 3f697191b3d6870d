"""The state store, opened as configured."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from syncd.errors import ConfigurationError, StateUnusable
from syncd.settings import Settings, onefile_named
from syncd.state.db import files, maintenance
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.owner import Owner, claim, owner_of
from syncd.state.db.schema import NEWEST
from syncd.state.db.store import Store, empty_store
from syncd.wiring.clock import now

A_STORE_OF_ITS_OWN: Final = (
    "Name another one in state.url: the first run creates it, and 'syncd link' matches existing accounts to records."
)


def open_store(settings: Settings) -> Store:
    """Open the state store for writing, and upgrade its schema unless that is switched off.

    It is an error if the key does not decrypt its values, or if the store belongs to another OneFile; a new store
    belongs to the first OneFile that it is opened for.

    Raises `StateUnusable`, `ConfigurationError`.
    """
    store = _store(settings)
    make_ready(store, settings)
    return store


def make_ready(store: Store, settings: Settings) -> None:
    """Make a store ready for writing, as `open_store` does.

    Raises `StateUnreachable` if it may succeed later, and otherwise `StateUnusable` and `ConfigurationError`.
    """
    if store.file:
        # Files that root has put there, such as a restored backup, are given to the service.
        with suppress(OSError):
            files.hand_over(store.file)
    store.check_writable()
    store.check_pooling()
    if settings.state.auto_upgrade:
        upgrade(store, settings)
    else:
        _refuse_other_schema(store, settings)
    maintenance.check_key(store)
    _refuse_others(store, claim(store, settings.onefile.host, now()), settings)


def upgrade(store: Store, settings: Settings) -> str | None:
    """Upgrade the schema as `Store.upgrade` does, unless the store belongs to another OneFile.

    Raises `StateUnusable`, `ConfigurationError`.
    """
    revision = store.revision()
    store.refuse_newer(revision)
    if revision is not None:
        _refuse_others_store(store, settings)
    return store.upgrade()


def open_store_to_read(
    settings: Settings, on_missing: Callable[[Store], object] = lambda _store: None, *, checks_key: bool = True
) -> Store:
    """Open the state store for reading: an empty one if there is none yet; nothing is created and nothing upgraded.

    ``on_missing`` is called with the store if there is none yet. Without ``checks_key``, values that the key does not
    decrypt are no error. Raises `StateUnusable`, `ConfigurationError`.
    """
    store = _store(settings)
    if store.revision() is None:
        on_missing(store)
        return empty_store(store.cipher)
    _refuse_other_schema(store, settings)
    if checks_key:
        maintenance.check_key(store)
    _refuse_others_store(store, settings)
    return store


def bare_store(settings: Settings) -> Store:
    """Open the state store without checking its schema."""
    return _store(settings)


def _store(settings: Settings) -> Store:
    return Store(settings.state.connection_url, ValueCipher(settings.state.encryption_key.get_secret_value()))


def others(owner: Owner | None, settings: Settings) -> str:
    """Why a store is not for the configured OneFile; empty if it is, or has no owner yet."""
    host = settings.onefile.host
    if owner is None or owner.onefile == host:
        return ""
    since = f"{owner.since.astimezone():%d %b %Y}"
    return (
        f"belongs to {onefile_named(owner.onefile)} since {since}, but the configuration is for {onefile_named(host)}, "
        "which has other UserIDs"
    )


def _refuse_others(store: Store, owner: Owner | None, settings: Settings) -> None:
    if why := others(owner, settings):
        raise ConfigurationError(f"The state store {store} {why}. {A_STORE_OF_ITS_OWN}")


def _refuse_others_store(store: Store, settings: Settings) -> None:
    with store.reading() as connection:
        _refuse_others(store, owner_of(connection), settings)


def _refuse_other_schema(store: Store, settings: Settings) -> None:
    revision = store.revision()
    store.refuse_newer(revision)
    if revision != NEWEST:
        remedy = "Run 'syncd db upgrade'"
        if settings.state.auto_upgrade:
            remedy = "'syncd run' and 'syncd sync' upgrade it, and so does 'syncd db upgrade'"
        raise StateUnusable(
            f"The schema of the state store {store} is {revision or 'missing'}, "
            f"but this version of syncd needs {NEWEST}. {remedy}."
        )
