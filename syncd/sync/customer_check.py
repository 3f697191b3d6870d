"""Check that the store is this customer's: two customers in one store would change each other's accounts."""

from syncd.errors import ConfigurationError
from syncd.onefile import OneFile
from syncd.state.db import owner
from syncd.state.db.store import Store
from syncd.sync.context import SyncContext


def confirm_customer(context: SyncContext) -> None:
    """Check that the customer token is of the customer whose accounts the store has.

    The first token is recorded without a call. A different one, as OneFile's support issues to replace a token, is
    recorded if it has access to an organisation that the store has: an organisation belongs to one customer. Raises
    `ConfigurationError` otherwise, and what OneFile's reads raise.
    """
    if not context.customer:
        return
    with context.store.reading() as connection:
        known = owner.owner_of(connection)
    if known is None or known.customer == context.customer:
        return
    refuse_other_customer(context)
    with context.store.begin() as connection:
        owner.note_customer(connection, context.customer)
    if known.customer:
        context.log.info("customer_token_changed")


def refuse_other_customer(context: SyncContext) -> None:
    """Check it as `confirm_customer` does, and record nothing. Raises as it does."""
    if context.customer and not is_same_customer(context.store, context.onefile, context.customer):
        raise ConfigurationError(
            f"The state store {context.store} belongs to another customer: this customer token has access to none of "
            "its organisations. Name another state store for this customer in state.url, or set the right token."
        )


def is_same_customer(store: Store, onefile: OneFile, customer: str) -> bool:
    """Whether the store is this customer's; OneFile is asked only about a token that is new to the store.

    Raises what OneFile's reads raise.
    """
    with store.reading() as connection:
        known = owner.owner_of(connection)
        if not known or known.customer in {"", customer}:
            return True
        ours = owner.organisations(connection)
    return not ours or not ours.isdisjoint(each.id for each in onefile.organisations())
