"""Who asks, and what they may: what every endpoint and page can know of a request."""

from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Final

from starlette.authentication import BaseUser
from starlette.requests import HTTPConnection, Request

READ: Final = "read"
STEER: Final = "steer"

#: The field of a form, and the header of a script, that hold what `csrf_token` gives.
CSRF_FIELD: Final = "csrf_token"
CSRF_HEADER: Final = "X-CSRF-Token"


@dataclass(frozen=True, slots=True)
class Caller(BaseUser):
    """Whoever asks, as ``request.user``.

    ``is_signed_in`` says that they gave their name and a password or token, and may sign out again; on a loopback
    that asks for neither, nobody is. ``may_steer`` says that they may ask for changes, and not only look.
    """

    name: str
    is_signed_in: bool
    may_steer: bool

    @property
    def is_authenticated(self) -> bool:
        """Whether they may see anything at all."""
        return bool(self.name)

    @property
    def display_name(self) -> str:
        """Their name."""
        return self.name


NOBODY: Final = Caller("", is_signed_in=False, may_steer=False)
#: Who asks on this machine itself, where no password and no token is configured.
ANYBODY_HERE: Final = Caller("loopback", is_signed_in=False, may_steer=True)


def program(*, may_steer: bool) -> Caller:
    """Who asks with a bearer token."""
    return Caller("api", is_signed_in=False, may_steer=may_steer)


def asked_by(request: Request) -> str:
    """Who asks and by which way, for the audit: ``jo (page)``, ``loopback (page)``, or ``api``."""
    person: Caller = request.user
    if is_of_api(request) and not person.is_signed_in:
        return "api"
    return f"{person.name} (page)"


def is_of_api(request: HTTPConnection) -> bool:
    """Whether programs ask for this rather than browsers."""
    path = path_of(request)
    return path.startswith("/api/") or path in {"/healthz", "/readyz", "/metrics"}


def path_of(request: HTTPConnection) -> str:
    """What the router goes by; ``request.url`` is partly made of a header that anybody can send."""
    path: str = request.scope["path"]
    return path


def wants_page(request: HTTPConnection) -> bool:
    """Whether a person will read the answer."""
    return not is_of_api(request) and "text/html" in request.headers.get("accept", "")


def csrf_token(request: HTTPConnection) -> str:
    """What every form carries as the hidden input ``csrf_token``, made when it is first asked for."""
    token: str = request.session.setdefault(CSRF_FIELD, token_urlsafe(24))
    return token
