"""The checks of `syncd doctor`: each builds only the parts it needs, so that one can fail alone."""

import ssl
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from functools import cache, partial
from pathlib import Path
from threading import Event
from typing import Final

from pydantic import SecretStr
from structlog.typing import FilteringBoundLogger

from syncd.core.records import Code
from syncd.core.text import plural
from syncd.errors import ConfigurationError, Interrupted, SyncdError
from syncd.onefile import OneFile, Organisation
from syncd.operations import doctor
from syncd.operations.doctor import Check, FeedCounts, Finding, Outcome, State
from syncd.route import Route
from syncd.secret_file import unreadable
from syncd.settings import (
    Environment,
    FeedSettings,
    LeaversSettings,
    Settings,
    SourceSettings,
    has_secrets,
    is_loopback,
    load_settings,
)
from syncd.state.db import files
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.owner import customer_hash, owner_of
from syncd.state.db.store import Store, empty_store
from syncd.sync.context import SyncContext
from syncd.sync.customer_check import is_same_customer
from syncd.wiring.bounded_wait import ShortWait
from syncd.wiring.clock import now
from syncd.wiring.context import open_context
from syncd.wiring.store import A_STORE_OF_ITS_OWN, bare_store, open_store_to_read, others

#: The checks that are skipped without a valid configuration.
_WITHOUT_CONFIGURATION: Final = ("state store", "MIS", "feeds", "log-in", "organisation", "Keychain", "references")

_LATER: Final = "Try again in a few minutes."


def examine(file: Path, log: FilteringBoundLogger, stopping: Event) -> Iterator[Finding]:
    """Check everything a run needs, and yield each finding as soon as it is known; nothing is changed in OneFile.

    Raises `Interrupted` once ``stopping`` is set.
    """
    try:
        settings = load_settings(file)
    except ConfigurationError as problem:
        advice = "'syncd init DIR' writes an example that explains every key."
        yield Finding("configuration", State.FAILED, str(problem), advice)
        yield from (doctor.not_checked(name, "configuration") for name in _WITHOUT_CONFIGURATION)
        return
    with ExitStack() as stack:
        for finding in doctor.made(_checks(file, settings, log, stopping, stack)):
            if stopping.is_set():
                raise Interrupted
            yield finding


def _checks(
    file: Path, settings: Settings, log: FilteringBoundLogger, stopping: Event, stack: ExitStack
) -> Iterator[Check]:
    organisations = settings.onefile.all_organisations
    main = organisations[0]
    is_live = settings.onefile.url == Environment.LIVE.base_url
    schedule, state = settings.schedule, settings.state
    census = FeedCounts()

    def parts_of(*real: str, feeds: tuple[FeedSettings, ...] = (), makes_calls: bool = False) -> SyncContext:
        """A sync context that uses only these sections, so that mistakes in the others do not matter.

        Nor do mistakes in the proxy and the certificates, unless it ``makes_calls``.
        """
        only = settings.model_copy(update={**_harmless(settings, real), "feeds": feeds})
        store = _store_for_turns(settings) if "onefile" in real else Store("sqlite://", ValueCipher())
        route = None if makes_calls else _route_without_calls()
        return stack.enter_context(open_context(only, store, log, ShortWait(stopping), route=route))

    @cache
    def store() -> Store:
        return bare_store(settings)

    @cache
    def onefile() -> OneFile:
        return parts_of("onefile", makes_calls=True).onefile

    @cache
    def organisation(number: int) -> Organisation:
        return onefile().organisation(number)

    def leavers() -> Outcome:
        policy = parts_of("leavers").policy
        return doctor.of_leavers(policy.grace, len(policy.protected), archives=policy.archives_leavers)

    def customer_token() -> Outcome:
        parts_of("onefile")
        return Outcome("set")

    yield Check("configuration", lambda: _of_configuration(file, settings))
    yield Check("schedule", lambda: doctor.of_schedule(schedule.poll, schedule.quiet, is_live=is_live))
    yield Check("leavers", leavers, "Correct leavers.protect.")
    yield Check("admin", lambda: _of_admin(settings))
    yield Check("notify", lambda: _of_notify(settings))
    yield Check(
        "state store",
        lambda: _of_store(store(), settings),
        "Correct that, or correct state.url.",
    )
    for number in organisations:
        yield Check(
            _named("runs", number, organisations),
            partial(lambda number: doctor.of_runs(store(), number, now, is_live=is_live), number),
            needs="state store",
        )
    yield Check("daemon", lambda: doctor.of_daemon(store(), main, now), needs="state store")
    yield Check(
        "MIS",
        lambda: doctor.of_mis(parts_of("source").mis),
        "Correct source.url, or check that this machine reaches the database and the login may read it.",
    )
    for feed in settings.feeds:
        yield Check(
            f"feed {feed.name}",
            partial(lambda feed: census.of_feed(parts_of("source", feeds=(feed,))), feed),
            "Correct its query, then run 'syncd doctor' again.",
            needs="MIS",
        )
    yield Check(
        "encryption",
        lambda: doctor.of_encryption(census.mapped, has_key=bool(state.encryption_key.get_secret_value())),
    )
    yield Check(
        "customer token",
        customer_token,
        "OneFile's support issues them to Centre Managers, each for one environment.",
    )
    yield Check(
        "log-in",
        lambda: _of_login(onefile(), settings),
        "Check onefile.environment or onefile.base_url, and that this machine reaches it.",
        needs="customer token",
    )
    for number in organisations:
        name = _named("organisation", number, organisations)
        yield Check(
            name, partial(lambda number: doctor.of_organisation(organisation(number)), number), _LATER, "log-in"
        )
        yield Check(
            _named("Keychain", number, organisations),
            partial(lambda number: doctor.of_keychain(organisation(number)), number),
            needs=name,
        )
        is_to_come = partial(_is_to_come, settings.feeds, parts_of, number)
        yield Check(
            _named("references", number, organisations),
            partial(
                lambda *where: doctor.of_references(onefile(), *where),
                number,
                settings.defaults.by_field,
                is_to_come,
            ),
            _LATER,
            needs=name,
        )


def _is_to_come(feeds: tuple[FeedSettings, ...], parts_of: Callable[..., SyncContext], number: int, code: Code) -> bool:
    """Whether the feeds have the record that a code refers to in this organisation."""
    of_such = tuple(feed for feed in feeds if feed.kind != "assignments" and feed.yields in code.referent.roles)
    try:
        return bool(of_such) and doctor.is_to_come(parts_of("source", feeds=of_such).for_organisation(number), code)
    except SyncdError:
        # The feed's own check reports what is wrong.
        return False


def _unreadable_by_service(file: Path, settings: Settings) -> str:
    """For root: why the service cannot read the configuration; empty if it can, or if no service is known yet."""
    # Another check reports what is wrong with the store.
    with suppress(SyncdError, OSError):
        if database := bare_store(settings).file:
            with files.as_service(database):
                try:
                    file.read_bytes()
                except OSError as problem:
                    return unreadable(file, problem)
    return ""


def _named(check: str, number: int, organisations: Collection[int]) -> str:
    return f"{check} {number}" if len(organisations) > 1 else check


def _of_configuration(file: Path, settings: Settings) -> Outcome:
    onefile, feeds = settings.onefile, len(settings.feeds)
    numbers = ", ".join(map(str, onefile.all_organisations))
    where = onefile.environment or onefile.url
    found = f"{file}: organisation {numbers} on {where}, {plural(feeds, 'feed')}"
    if why := _unreadable_by_service(file, settings):
        found_there, _, advice = why.rpartition(". ")
        return Outcome(f"{found}; {found_there}", f"{advice}.", State.WARNING)
    # Without secrets it may be read, as by a service that runs as a user of its own.
    of_file = doctor.of_files(found, [file], may_be_read=not has_secrets(file))
    return of_file if of_file.advice else doctor.of_configuration(found, settings.guard.limits)


def _of_admin(settings: Settings) -> Outcome:
    address = settings.admin.address
    return doctor.of_admin(settings.admin.listen, is_loopback=address is not None and is_loopback(address[0]))


def _of_store(store: Store, settings: Settings) -> Outcome:
    outcome = doctor.of_store(store, upgrades_itself=settings.state.auto_upgrade)
    if outcome.state is State.OK and store.revision():
        with store.begin() as connection:
            why = others(owner_of(connection), settings)
        if why:
            return Outcome(f"{store} {why}", A_STORE_OF_ITS_OWN, State.FAILED)
    return outcome


def _of_login(onefile: OneFile, settings: Settings) -> Outcome:
    outcome = doctor.of_login(onefile)
    token = settings.onefile.customer_token.get_secret_value()
    if not is_same_customer(_store_for_turns(settings), onefile, customer_hash(token)):
        found = f"{outcome.found}, not of the customer that the state store belongs to"
        return Outcome(found, A_STORE_OF_ITS_OWN, State.FAILED)
    return outcome


def _of_notify(settings: Settings) -> Outcome:
    # Apprise takes time to load, so it is loaded only if needed.
    if not settings.notify.urls:
        return doctor.of_notify(())
    from syncd.notify.channels import channels_of  # noqa: PLC0415

    return doctor.of_notify([address.name for address in channels_of(settings.notify.urls)])


@cache
def _route_without_calls() -> Route:
    return Route(None, ssl.create_default_context())


def _harmless(settings: Settings, real: Collection[str]) -> dict[str, object]:
    """Valid placeholder sections for all but the real ones."""
    token = SecretStr("no-call-is-made-with-it")
    sections = {
        "onefile": settings.onefile.model_copy(update={"customer_token": token}),
        "source": SourceSettings.model_validate({"url": "sqlite://"}),
        "leavers": LeaversSettings(),
    }
    return {name: section for name, section in sections.items() if name not in real}


def _store_for_turns(settings: Settings) -> Store:
    """The store for the rate limit: the state store, or an empty one if that cannot be used."""
    try:
        return open_store_to_read(settings, checks_key=False)
    except SyncdError:
        return empty_store(ValueCipher())
