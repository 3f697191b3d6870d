"""What a run remembers of the feeds, so that the next poll can recognise the rows that have not changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from syncd.core.watermark import WatermarkValue


@dataclass(frozen=True, slots=True)
class BlockDigest:
    """A block: consecutive rows of a feed, known by one digest."""

    rows: int
    first_row_digest: str
    """The short digest of its first row."""
    digest: str
    """The digest of all its rows; empty if none can be made."""
    own_rows: int
    """How many rows belong to the organisation of the snapshot."""
    recheck_rows: tuple[int, ...] = ()
    """The places, from 0, of rows that the next poll must parse even if they have not changed."""


@dataclass(frozen=True, slots=True)
class BlockRows:
    """The rows of a block, one by one."""

    misids: Sequence[str | None]
    """The MISID of each row; ``None`` for a row of another organisation."""
    digests: Sequence[str]
    """The short digest of each row."""


@dataclass(frozen=True, slots=True)
class BlockWrite:
    """A block to be stored."""

    block: BlockDigest
    rows: BlockRows | None
    """``None`` if the block is stored already, at ``position``."""
    position: int


@dataclass(frozen=True, slots=True)
class Watermark:
    """Where the next incremental read of a feed with a watermark begins."""

    column: str
    value: WatermarkValue
    first_seen_at: datetime
    """When the column first had this value."""
    misid_column: str
    recheck_misids: Sequence[str | int] = ()
    """The MISIDs whose rows are read even if their watermark is not higher."""
    other_organisation_rows: int = 0
    """How many rows of the feed belong to other organisations."""


@dataclass(frozen=True, slots=True)
class FeedSnapshot:
    """What is remembered of all feeds of an organisation."""

    comparison_version: str
    """A digest of everything that the rows were compared with; empty if polls must read in full."""
    read_at: datetime
    """When the feeds were last read in full."""
    loaded_at: datetime
    """When the snapshot was loaded from the store."""
    generation: int
    """Increases with every change to accounts or records that was not made by a run."""
    blocks: Mapping[str, Sequence[BlockDigest]] = field(default_factory=dict)
    """The blocks of each feed without a watermark."""
    watermarks: Mapping[str, Watermark] = field(default_factory=dict)
    """The watermarks of the feeds that have one."""
