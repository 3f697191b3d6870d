"""The caller and their permissions, for every endpoint and page."""

from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Final
from urllib.parse import quote

from starlette.authentication import BaseUser
from starlette.requests import HTTPConnection, Request

READ: Final = "read"
STEER: Final = "steer"

#: The form field, and the header of a script, that hold the `csrf_token`.
CSRF_FIELD: Final = "csrf_token"
CSRF_HEADER: Final = "X-CSRF-Token"


@dataclass(frozen=True, slots=True)
class Caller(BaseUser):
    """The caller, as ``request.user``.

    ``is_signed_in`` says that they gave their name and a password or token, and can sign out; it is false on loopback
    without credentials. ``may_steer`` says that they may ask for changes, and not only read.
    """

    name: str
    is_signed_in: bool
    may_steer: bool

    @property
    def is_authenticated(self) -> bool:
        """Whether the caller is known, and so may read."""
        return bool(self.name)

    @property
    def display_name(self) -> str:
        """The caller's name."""
        return self.name


NOBODY: Final = Caller("", is_signed_in=False, may_steer=False)
#: A caller on this machine, if no password and no token is configured.
ANYBODY_HERE: Final = Caller("loopback", is_signed_in=False, may_steer=True)


def program(*, may_steer: bool) -> Caller:
    """A caller with a bearer token."""
    return Caller("api", is_signed_in=False, may_steer=may_steer)


def asked_by(request: Request) -> str:
    """The caller and the way they used, for the audit: ``jo (page)``, ``loopback (page)``, or ``api``."""
    person: Caller = request.user
    if is_of_api(request) and not person.is_signed_in:
        return "api"
    return f"{person.name} (page)"


def is_of_api(request: HTTPConnection) -> bool:
    """Whether the path is for programs rather than browsers."""
    path = path_of(request)
    return path.startswith("/api/") or path in {"/healthz", "/readyz", "/metrics"}


def path_of(request: HTTPConnection) -> str:
    """The path that the router uses; ``request.url`` is partly made from a header that a client can forge."""
    path: str = request.scope["path"]
    return path


def address_within(request: HTTPConnection) -> str:
    """The path and the query as requested, without the host, which a client can forge."""
    query = request.scope["query_string"].decode("latin-1")
    # A question mark in a MISID does not start a query.
    path: bytes = request.scope.get("raw_path") or quote(path_of(request)).encode()
    return path.decode("latin-1") + (f"?{query}" if query else "")


def wants_page(request: HTTPConnection) -> bool:
    """Whether a person will read the answer."""
    return not is_of_api(request) and "text/html" in request.headers.get("accept", "")


def csrf_token(request: HTTPConnection) -> str:
    """The token that every form has as the hidden input ``csrf_token``; it is created on first use."""
    token: str = request.session.setdefault(CSRF_FIELD, token_urlsafe(24))
    return token
