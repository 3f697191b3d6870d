"""Reading, comparing, guarding: from the MIS and the store to a plan, and whether it may run. Changes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from syncd.core.compare import Known, Resolved, Sifted, Status, Surroundings, compare, sift
from syncd.core.guard import Counts, FeedSize, guard, to_approve
from syncd.core.plan import Plan
from syncd.core.records import Code, Key, Reason, Record
from syncd.state import accounts, changes, holding, references
from syncd.sync.directory import Directory
from syncd.sync.parts import Parts
from syncd.sync.reading import read_feeds


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what the guard says of it."""

    plan: Plan
    objections: tuple[str, ...]
    """Why it must not run unasked; empty when it may."""
    directory: Directory
    """What was learnt of OneFile on the way."""
    references: Mapping[Code, int | None] = field(default_factory=dict)
    """The ids that were looked up, to be kept; ``None`` where OneFile had nothing."""
    needs: Counts | None = None
    """What an approval must cover; all that is counted, if left out."""

    @property
    def counts(self) -> Counts:
        """What the guard has counted."""
        return Counts.of(self.plan)


def make_plan(
    parts: Parts,
    only: frozenset[str] = frozenset(),
    ambiguous: Mapping[Key, str] | None = None,
    *,
    asks_again: bool = True,
) -> Planned:
    """Read every feed and work out what a run would do; OneFile is only asked, and only for what is needed.

    ``only`` limits the plan to these MISIDs. ``ambiguous`` says of some unsettled creates why they cannot be settled.
    ``asks_again`` has codes looked up afresh that OneFile had nothing by a short while ago.
    Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`, and what OneFile's reads raise.
    """
    store, organisation_id, now = parts.store, parts.organisation_id, parts.clock()
    with store.begin() as connection:
        known = accounts.known(connection, organisation_id)
        refused = holding.refused(connection, organisation_id)
        kept = references.known(connection, organisation_id, now)
        unsettled = changes.unsettled(connection, store.vault, organisation_id)
        accounts_by_feed = accounts.by_feed(connection, organisation_id)
        surely_new = holding.surely_new(connection, organisation_id)
    records = read_feeds(parts.mis, parts.feeds, organisation_id, parts.policy.defaults)
    sifted = sift(records, known, store.vault.fingerprint_secret, refused, only)
    # Whoever is gone matters only if somebody new may be the same person.
    is_anybody_new = not sifted.changed.keys() <= known.keys()
    wanted = (sifted.changed.keys() & known.keys()) | (sifted.missed.keys() if is_anybody_new else set())
    with store.begin() as connection:
        values = accounts.values(connection, store.vault, wanted)

    directory = Directory(parts.onefile, organisation_id, known, parts.policy.max_in_flight)
    if asks_again:
        kept = {code: onefile_id for code, onefile_id in kept.items() if onefile_id is not None}
    codes, looked_up = _resolve(sifted.changed, known, kept, directory)
    in_doubt = {each.key: (ambiguous or {}).get(each.key, "") for each in unsettled}
    strangers = {
        key
        for key, record in sifted.changed.items()
        if key not in known
        and key not in in_doubt
        and not any(isinstance(codes[code], Reason) for code in record.codes.values())
    }
    around = Surroundings(
        known,
        values,
        {(organisation_id, code): resolved for code, resolved in codes.items()},
        directory.newcomers(strangers),
        in_doubt,
        {key for key in sifted.changed if key.misid in surely_new},
    )
    plan = compare(sifted, around, parts.policy.rules(now), store.vault.fingerprint_secret)
    active = sum(account.status is not Status.ARCHIVED for account in known.values())
    sizes = tuple(_sizes(parts, sifted, accounts_by_feed))
    limits = parts.policy.limits
    return Planned(
        plan, guard(plan, limits, active, sizes), directory, looked_up, to_approve(plan, limits, active, sizes)
    )


def _sizes(parts: Parts, sifted: Sifted, accounts_by_feed: Mapping[str, int]) -> Iterable[FeedSize]:
    for feed in parts.feeds:
        yield FeedSize(feed.name, sifted.rows[feed.name], accounts_by_feed.get(feed.name, 0))


def _resolve(
    changed: Mapping[Key, Record],
    known: Mapping[Key, Known],
    kept: Mapping[Code, int | None],
    directory: Directory,
) -> tuple[dict[Code, Resolved], dict[Code, int | None]]:
    """What every code stands for: a known account, one that this run creates, an id kept, or one looked up."""
    resolved: dict[Code, Resolved] = {}
    unknown: set[Code] = set()
    for record in changed.values():
        for code in record.codes.values():
            ours = _among_ours(record.key.organisation_id, code, changed, known)
            if ours is not None:
                resolved[code] = ours
            elif code in kept:
                resolved[code] = kept[code] or Reason.REFERENCE_NOT_FOUND
            else:
                unknown.add(code)
    asked = directory.resolve(unknown)
    told: dict[Code, int | None] = {code: answer for code, answer in asked.items() if isinstance(answer, int)}
    told |= {code: None for code, answer in asked.items() if answer is Reason.REFERENCE_NOT_FOUND}
    return resolved | asked, told


def _among_ours(
    organisation_id: int, code: Code, changed: Mapping[Key, Record], known: Mapping[Key, Known]
) -> int | Key | None:
    keys = [Key(organisation_id, role, code.text) for role in code.referent.roles]
    for key in keys:
        account = known.get(key)
        if account is not None and account.user_id is not None and account.status in {Status.ACTIVE, Status.LEAVER}:
            return account.user_id
    return next((key for key in keys if key in changed), None)
