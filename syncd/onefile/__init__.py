"""OneFile's API, version 2.1: the client, its session, its rate limit, and the shapes of its responses.

Section numbers in docstrings (§8.6, U1) refer to the OneFile API fact sheet.
"""

from syncd.onefile.client import OneFile
from syncd.onefile.instrumentation import OnRequest
from syncd.onefile.pagination import TooManyPages
from syncd.onefile.rate_limit import RateLimiter, RateLimitStore, Yielded
from syncd.onefile.requests import ApiRequest, Id, PendingId, fields_sent, request_for
from syncd.onefile.responses import (
    Created,
    Names,
    Organisation,
    Place,
    Response,
    UserRow,
    is_archived,
    role_in,
    says_archived,
)

__all__ = [
    "ApiRequest",
    "Created",
    "Id",
    "Names",
    "OnRequest",
    "OneFile",
    "Organisation",
    "PendingId",
    "Place",
    "RateLimitStore",
    "RateLimiter",
    "Response",
    "TooManyPages",
    "UserRow",
    "Yielded",
    "fields_sent",
    "is_archived",
    "request_for",
    "role_in",
    "says_archived",
]
