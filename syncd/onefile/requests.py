"""The requests that change something in OneFile, and the step each one carries out.

The client sends these requests, and ``syncd explain`` prints them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from syncd.core.fields import Role
from syncd.core.plan import Assign, Create, Grant, Leaver, Rekey, Returner, Step, Update
from syncd.core.records import Key
from syncd.core.values import Sent


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A call of OneFile's API, below its base URL."""

    method: str
    path: str
    body: Mapping[str, Sent] | None = None

    @property
    def fields(self) -> Mapping[str, Sent]:
        """The fields of the body; empty if there is no body."""
        return self.body or {}


class PendingId(str):
    """A placeholder for an id that OneFile has not assigned yet, in a request that is only shown."""

    __slots__ = ()


Id: TypeAlias = int | PendingId


def request_for(step: Step, ids: Mapping[Key, Id], *, learner_in_path: bool = False) -> ApiRequest:
    """Return the request that carries out a step.

    ``ids`` has the ids of the step's accounts and of those it waits for, if the step itself does not have them.
    It is not known which id belongs in the path of an Assign (U18): the user's, unless ``learner_in_path``.
    """
    match step:
        case Create():
            return create(step.key.role, step.key.organisation_id, fields_sent(step, ids))
        case Update() | Rekey():
            return update(step.key.role, step.user_id or ids[step.key], fields_sent(step, ids))
        case Grant():
            placement = ids[step.placement] if isinstance(step.placement, Key) else step.placement
            is_open = str(step.is_open).lower()
            return ApiRequest("POST", f"/User/{ids[step.key]}/AssignPlacement/{placement}/{is_open}")
        case Assign():
            user, learner = ids[step.user], ids[step.learner]
            path, named = (learner, user) if learner_in_path else (user, learner)
            return ApiRequest("POST", f"/User/{path}/Assign", {"LearnerID": named, "Level": 1})
        case Returner():
            return ApiRequest("POST", f"/User/{step.user_id}/Unarchive")
        case Leaver():
            return ApiRequest("POST", f"/User/{step.user_id}/Archive")


def create(role: Role, organisation_id: int, fields: Mapping[str, Sent]) -> ApiRequest:
    """Return the request that creates an account (§8.2, §8.3), a classroom (§9) or a placement (§10)."""
    role_number = {} if role.is_place else {"Role": role.number}
    return ApiRequest("POST", resource(role), {"OrganisationID": organisation_id, **role_number, **fields})


def update(role: Role, onefile_id: Id, fields: Mapping[str, Sent]) -> ApiRequest:
    """Return the request that changes these fields of an account (§8.4) or a place (§9, §10)."""
    return ApiRequest("POST", f"{resource(role)}/{onefile_id}", fields)


def fields_sent(step: Create | Update | Rekey, ids: Mapping[Key, Id]) -> dict[str, Sent]:
    """Return the fields that a step sends, with the ids of the accounts it waits for."""
    if isinstance(step, Rekey):
        return {"MISID": step.key.misid}
    return {**step.fields, **{name: ids[key] for name, key in step.waits_for.items()}}


def resource(role: Role) -> str:
    """Return the API path of a role's accounts, or of a kind of place."""
    return f"/{role}" if role.is_place else "/User"
