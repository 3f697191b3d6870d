"""Reading the feeds: every row, or only the rows that may have changed since the last run.

A full read parses every row. An incremental read recognises unchanged rows by the digest of their block, or asks a feed
with a watermark for its changed rows only. Both lead to the same plan.
"""

from syncd.sync.incremental.change_reader import ChangeReader, read_changes
from syncd.sync.incremental.result import ReadResult

__all__ = ["ChangeReader", "ReadResult", "read_changes"]
