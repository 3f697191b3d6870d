"""OneFile's API, version 2.1: the client, its session, its pace, and the shapes of its answers.

Sections named in docstrings (§8.6, U1) are those of the OneFile API fact sheet.
"""

from syncd.onefile.answers import Answered, Created, Organisation, Place, UserRow
from syncd.onefile.client import OneFile
from syncd.onefile.pace import GaveWay, Interrupted, Pacer, Turns
from syncd.onefile.paging import TooManyPages
from syncd.onefile.timing import OnRequest

__all__ = [
    "Answered",
    "Created",
    "GaveWay",
    "Interrupted",
    "OnRequest",
    "OneFile",
    "Organisation",
    "Pacer",
    "Place",
    "TooManyPages",
    "Turns",
    "UserRow",
]
