"""The MIS: reading a feed's rows from whatever database holds them, as a stream."""

from syncd.mis.source import Mis, Rows

__all__ = ["Mis", "Rows"]
