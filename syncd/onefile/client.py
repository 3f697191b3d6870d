"""The client: the calls that syncd makes, and what each may raise."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar

import httpx
import stamina

from syncd import __version__
from syncd.core.fields import Role
from syncd.core.values import Sent, Value
from syncd.errors import AnswerLost, CredentialsRefused, Interrupted, OneFileError, OneFileUnreachable, Refused
from syncd.onefile.instrumentation import OnRequest, TimedTransport
from syncd.onefile.pagination import PageSizes, every_row
from syncd.onefile.rate_limit import RateLimiter
from syncd.onefile.requests import ApiRequest, resource
from syncd.onefile.responses import (
    Created,
    Customer,
    Names,
    Organisation,
    Place,
    Response,
    Unreadable,
    UserRow,
    parse_complaint,
    parse_created,
    parse_customer,
    parse_json,
    parse_message,
    parse_object,
    parse_organisation,
    parse_place,
    parse_rows,
    parse_user,
    says_archived,
)
from syncd.onefile.session import SessionAuth
from syncd.onefile.timeouts import DeadlineTransport
from syncd.onefile.transport import RateLimitedTransport
from syncd.route import Route
from syncd.tls import REMEDY

_ATTEMPTS: Final = 3
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 5

#: After these errors, no part of the call can have reached OneFile.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

#: What OpenSSL's errors contain.
_OF_TLS: Final = "[SSL"
_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"

_Row = TypeVar("_Row", UserRow, Place)


class OneFile:
    """One customer's OneFile.

    Thread-safe. Every method can raise `OneFileUnreachable` (nothing was changed), `CredentialsRefused` and
    `Interrupted`; methods that change something can also raise `Refused` and `AnswerLost`.
    Reads and updates are retried because they are idempotent; a create is retried only if it was never sent.
    ``route`` is that of the environment if there is none; finding it can raise `ConfigurationError`.
    """

    def __init__(
        self,
        base_url: str,
        customer_token: str,
        rate_limiter: RateLimiter,
        *,
        clock: Callable[[], datetime],
        timeout_seconds: float = 30,
        max_in_flight: int = 16,
        on_throttled: Callable[[float], None] = lambda _seconds: None,
        on_request: OnRequest = lambda _request: None,
        route: Route | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._route = route or Route.to(base_url)
        self.rate_limiter: Final = rate_limiter
        self._on_throttled = on_throttled
        self._page_sizes = PageSizes()
        punctual = transport or DeadlineTransport(
            timeout_seconds,
            self._route,
            limits=httpx.Limits(max_connections=max_in_flight, max_keepalive_connections=max_in_flight),
        )
        timed = TimedTransport(punctual, httpx.URL(base_url).path, on_request)
        self._http = httpx.Client(
            base_url=base_url,
            auth=SessionAuth(f"{base_url}/Authentication", customer_token, clock),
            transport=RateLimitedTransport(timed, rate_limiter, clock=clock, on_throttled=self._report_throttling),
            timeout=timeout_seconds,
            headers={"Accept": "application/json, text/plain", "User-Agent": f"syncd/{__version__}"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @contextmanager
    def on_throttled(self, on_throttled: Callable[[float], None]) -> Iterator[None]:
        """Within the context, call ``on_throttled`` for each 429, with the seconds for which calls are blocked."""
        before, self._on_throttled = self._on_throttled, on_throttled
        try:
            yield
        finally:
            self._on_throttled = before

    def _report_throttling(self, seconds: float) -> None:
        self._on_throttled(seconds)

    def customer(self) -> Customer:
        """Return the customer that the token belongs to (§6). Also raises `Refused`."""
        with _readable("the customer"):
            return parse_customer(parse_object(self._read("GET", "/Customer")))

    def organisations(self) -> list[Organisation]:
        """Return all organisations that the customer token can access: those of its customer (§7)."""
        with _readable("the organisations"):
            return [parse_organisation(row) for row in parse_rows(self._read("POST", "/Organisation/Search", {}))]

    def organisation(self, organisation_id: int) -> Organisation:
        """Return an organisation and its Keychain setting (§7). Raises `CredentialsRefused` if it is not accessible."""
        organisations = self.organisations()
        for organisation in organisations:
            if organisation.id == organisation_id:
                return organisation
        seen = ", ".join(f"{one.id} ({one.name})" for one in organisations) or "none"
        raise CredentialsRefused(
            f"The customer token gives no access to organisation {organisation_id}; it sees {seen}. "
            "Check onefile.organisation_id."
        )

    def users(
        self,
        organisation_id: int,
        role: Role | None = None,
        misid: str | None = None,
        *,
        names: Names | None = None,
        modified_since: datetime | None = None,
        expected: int | None = None,
        at_most: int | None = None,
    ) -> Iterator[UserRow]:
        """Yield the users of an organisation, page by page; with a role, only users who are not archived (§8.6, U4).

        OneFile may match ``misid`` and ``names`` loosely (U6), so the caller must check every row.
        ``modified_since`` omits users not modified since then; what counts as a modification is not known (U29).
        ``expected`` is the estimated number of rows, used to choose the page size; ``at_most`` is the maximum number of
        calls. Also raises `TooManyPages`.
        """
        filters: dict[str, Value] = {"OrganisationID": organisation_id}
        if role is not None:
            filters["Role"] = role.number
        if misid is not None:
            filters["MISID"] = misid
        if names is not None:
            filters["FirstName"], filters["LastName"] = names
        if modified_since is not None:
            filters["LastModified"] = f"{modified_since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        is_for_one = misid is not None or names is not None
        return self._rows("/User/Search", filters, parse_user, 1 if is_for_one else expected, at_most)

    def places(self, role: Role, organisation_id: int, *, expected: int | None = None) -> Iterator[Place]:
        """Yield the classrooms (§9) or placements (§10) of an organisation; ``expected`` estimates their number."""
        return self._rows(f"{resource(role)}/Search", {"OrganisationID": organisation_id}, parse_place, expected)

    def calls_for(self, rows: int) -> int:
        """Return how many calls a search for this many rows takes, from what is known of OneFile's page sizes (U1)."""
        return self._page_sizes.calls(rows)

    def learner_statuses(self, organisation_id: int) -> list[Place]:
        """Return an organisation's learner statuses (§7). Each organisation numbers its own."""
        with _readable("the learner statuses"):
            rows = parse_rows(self._read("GET", f"/Organisation/{organisation_id}/LearnerStatuses"))
            return [parse_place(row) for row in rows]

    def user(self, user_id: int) -> dict[str, Any]:
        """Return OneFile's fields of one user, keys in lower case, some omitted (§8.5). Also raises `Refused`."""
        return self._one("/User", user_id)

    def one(self, role: Role, onefile_id: int) -> dict[str, Any]:
        """Return OneFile's fields of one user or place (§9, §10). Also raises `Refused`."""
        return self._one(resource(role), onefile_id)

    def _one(self, resource: str, onefile_id: int) -> dict[str, Any]:
        with _readable(f"a read at {resource}"):
            return parse_object(self._read("GET", f"{resource}/{onefile_id}"))

    def create(self, request: ApiRequest) -> tuple[Created, Response]:
        """Send a request that creates an account or a place; it is not retried once it may have reached OneFile."""
        response, attempts = self._call(request.method, request.path, request.body, again_after=(OneFileUnreachable,))
        try:
            return parse_created(response), Response(response.status_code, attempts)
        except Unreadable:
            raise AnswerLost(response.status_code, words=_complaint(response) or "") from None

    def change(self, request: ApiRequest) -> Response:
        """Send an idempotent request that changes an account, a place or an assignment.

        Also raises `Refused` with a status of success, if OneFile answers in words: it may have made the change.
        """
        response, attempts = self._call(
            request.method, request.path, request.body, again_after=(OneFileUnreachable, AnswerLost)
        )
        complaint = _complaint(response)
        if complaint is not None:
            refused = Refused(response.status_code, complaint)
            refused.attempts = attempts
            raise refused
        return Response(response.status_code, attempts)

    def _rows(
        self,
        path: str,
        filters: Mapping[str, Value],
        row_of: Callable[[Mapping[str, Any]], _Row],
        expected: int | None,
        at_most: int | None = None,
    ) -> Iterator[_Row]:
        def ask(page: int, size: int) -> list[_Row]:
            with _readable(f"a search at {path}"):
                return [row_of(row) for row in parse_rows(self._read("POST", f"{path}/{page}/{size}", filters))]

        return every_row(ask, self._page_sizes, expected, at_most)

    def _read(self, method: str, path: str, body: Mapping[str, Sent] | None = None) -> httpx.Response:
        try:
            response, _ = self._call(
                method, path, body, again_after=(OneFileUnreachable, AnswerLost), check=_readable_or_lost
            )
        except AnswerLost as lost:
            # A failed read has changed nothing.
            said = f"answered status {lost.status}" if lost.status else "did not answer"
            if lost.status is not None and lost.status < HTTPStatus.BAD_REQUEST:
                raise OneFileUnreachable(
                    f"OneFile's answer to {method} {path} cannot be understood; is onefile.base_url right?"
                ) from lost
            raise OneFileUnreachable(f"OneFile {said} to {method} {path}.") from lost
        return response

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Sent] | None,
        *,
        again_after: tuple[type[OneFileError], ...],
        check: Callable[[httpx.Response], httpx.Response] = lambda response: response,
    ) -> tuple[httpx.Response, int]:
        attempts = 0
        try:
            for attempt in stamina.retry_context(
                on=again_after,
                attempts=_ATTEMPTS,
                timeout=None,
                wait_initial=_FIRST_PAUSE_SECONDS,
                wait_max=_LONGEST_PAUSE_SECONDS,
            ):
                with attempt:
                    attempts = attempt.num
                    return check(_checked(self._send(method, path, body))), attempts
        except (OneFileError, Interrupted) as problem:
            problem.attempts = attempts
            raise
        raise AssertionError("the last attempt returns or raises")

    def _send(self, method: str, path: str, body: Mapping[str, Sent] | None) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except _NOT_SENT as problem:
            raise OneFileUnreachable(self._unreachable(problem)) from None
        except httpx.HTTPError as problem:
            if isinstance(problem, httpx.RequestError) and problem.request.url.path.endswith("/Authentication"):
                through = f" through the proxy {self._route.proxy}" if self._route.proxy else ""
                raise OneFileUnreachable(
                    f"OneFile did not answer the log-in{through}: {type(problem).__name__}."
                ) from None
            raise AnswerLost from None

    def _unreachable(self, problem: httpx.RequestError) -> str:
        """Return why a call did not leave, and what to do: the host, its certificate, or the proxy before it."""
        host, proxy, why = self._http.base_url.host, self._route.proxy, _plainly(problem)
        if _UNTRUSTED in str(problem):
            return f"OneFile at {host} cannot be reached: {why}. {REMEDY}."
        if proxy is None:
            return f"OneFile at {host} cannot be reached: {why}."
        if isinstance(problem, httpx.ProxyError):
            if why.startswith(str(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value)):
                why += "; it wants a user and a password, as in http://USER:PASSWORD@HOST:PORT"
            return f"The proxy {proxy} does not connect to OneFile at {host}: {why}."
        if _OF_TLS in str(problem):
            return f"OneFile at {host} cannot be reached through the proxy {proxy}: {why}."
        return f"The proxy {proxy} cannot be reached: {why}."


def _plainly(problem: httpx.RequestError) -> str:
    """Return the operating system's or OpenSSL's message about a connection, without error numbers and source lines."""
    return re.sub(r"^\[[^]]*\] ?| ?\(_ssl\.c:\d+\)", "", str(problem)).rstrip(".") or type(problem).__name__


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except Unreadable:
        raise OneFileUnreachable(
            f"OneFile's answer for {what} cannot be understood; is onefile.base_url right?"
        ) from None


def _complaint(response: httpx.Response) -> str | None:
    """Return OneFile's words in an answer with a status of success; ``None`` if it has none."""
    try:
        return parse_complaint(response)
    except Unreadable:
        # A web page comes from a proxy or gateway, and does not show what OneFile did.
        raise AnswerLost(response.status_code) from None


def _readable_or_lost(response: httpx.Response) -> httpx.Response:
    """Return the response if it is readable; a web page from a proxy or gateway counts as a lost answer."""
    try:
        parse_json(response)
    except Unreadable:
        raise AnswerLost(response.status_code) from None
    return response


def _checked(response: httpx.Response) -> httpx.Response:
    """Return the response if it is a success; otherwise raise the matching error (§14)."""
    status = response.status_code
    if response.is_success:
        return response
    match status:
        case HTTPStatus.UNAUTHORIZED:
            raise CredentialsRefused("OneFile refuses a session that it has only just given (status 401).")
        case HTTPStatus.FORBIDDEN if not says_archived(parse_message(response)):
            raise CredentialsRefused(
                "OneFile forbids the call (status 403): the customer token may be of another environment or customer."
            )
        case HTTPStatus.REQUEST_TIMEOUT:
            raise AnswerLost(status)
        case _ if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Refused(status, parse_message(response))
        case _:
            raise AnswerLost(status)
