"""Reading the feeds: the MIS's rows become records, or are held."""

from collections.abc import Iterator, Sequence

from syncd.core.fields import ORGANISATION_COLUMN, SENDING_ORDER
from syncd.core.records import Held, Layout, Reason, Record, UnusableColumns
from syncd.errors import ConfigurationError
from syncd.mis import Mis
from syncd.sync.parts import Feed


def read_feeds(
    mis: Mis, feeds: Sequence[Feed], organisation_id: int, defaults: dict[str, int]
) -> Iterator[Record | Held]:
    """Every row of every feed, staff before the learners they look after.

    Raises `MisUnreachable`, and `ConfigurationError` for columns that do not fit.
    """
    for feed in sorted(feeds, key=lambda feed: SENDING_ORDER.index(feed.role)):
        with mis.read(feed.name, feed.query) as rows:
            try:
                layout = Layout.of(feed.role, feed.name, rows.columns, organisation_id, defaults)
            except UnusableColumns as problem:
                raise ConfigurationError(f"Feed {feed.name}: {problem}.") from None
            for number, row in enumerate(rows.stream, start=1):
                yield _of_this_organisation(layout.read(row, number), organisation_id)


def _of_this_organisation(record: Record | Held, organisation_id: int) -> Record | Held:
    if isinstance(record, Held) or record.key.organisation_id == organisation_id:
        return record
    detail = f"{ORGANISATION_COLUMN} is not {organisation_id}, the one that onefile.organisation_id names"
    key = record.key
    return Held(organisation_id, key.role, key.misid, record.feed, Reason.UNUSABLE, ORGANISATION_COLUMN, detail)
