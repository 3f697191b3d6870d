"""The state store, as the configuration has it."""

from syncd.errors import StateUnusable
from syncd.settings import Settings
from syncd.state import upkeep
from syncd.state.schema import NEWEST
from syncd.state.store import Store, empty_store
from syncd.state.vault import Vault


def open_store(settings: Settings) -> Store:
    """The state store for those who write to it, its schema brought up to date unless that is switched off.

    A key that does not open what is in it is an error before anything else is done.

    Raises `StateUnusable`, `ConfigurationError`.
    """
    store = _store(settings)
    if settings.state.auto_upgrade:
        store.upgrade()
    else:
        _refuse_old_schema(store)
    upkeep.check_key(store)
    return store


def open_store_to_read(settings: Settings) -> Store:
    """The state store for those who only read: an empty one where there is none yet, and nothing is made.

    Raises `StateUnusable`, `ConfigurationError`.
    """
    store = _store(settings)
    if store.revision() is None:
        return empty_store(store.vault)
    _refuse_old_schema(store)
    return store


def bare_store(settings: Settings) -> Store:
    """The state store as it is, whatever its schema."""
    return _store(settings)


def _store(settings: Settings) -> Store:
    return Store(settings.state.url.get_secret_value(), Vault(settings.state.encryption_key.get_secret_value()))


def _refuse_old_schema(store: Store) -> None:
    if not store.is_current:
        raise StateUnusable(
            f"The schema of the state store {store} is {store.revision() or 'not there'}, "
            f"and this syncd needs {NEWEST}. Run 'syncd db upgrade'."
        )
