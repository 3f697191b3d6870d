"""The MIS: reading a feed's rows from whatever database holds them, as a stream."""

from syncd.mis.source import TIMEOUT_SECONDS, Mis, Rows

__all__ = ["TIMEOUT_SECONDS", "Mis", "Rows"]
