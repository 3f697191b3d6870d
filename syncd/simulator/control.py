"""Control endpoints outside the API, for people and for tests in another process: state, seeds and faults.

====================================  ==================================================================
``GET /simulator/journal``            the calls so far, the oldest first (`syncd.simulator.journal.Call`)
``GET /simulator/users``              every user with all fields, ``Archived`` and ``Emails``
``GET /simulator/assignments``        what Assign (``people``) and AssignPlacement (``placements``) have set so far
``GET /simulator/state``              counts, organisations, switches, pending faults
``POST /simulator/seed``              adds the rows of a seed (`syncd.simulator.seed`)
``POST /simulator/faults``            ``{"faults": [{"kind": "drop_after", "path": "/User"}], "rate": 0.02, "seed": 1}``
``DELETE /simulator/faults``          cancels every fault
====================================  ==================================================================
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from syncd.simulator import serializers
from syncd.simulator.app import FrontDoor
from syncd.simulator.faults import ORDINARY, Fault, FaultKind
from syncd.simulator.seed import Seed, SeedRefused, sow


class Control:
    """The control endpoints of one simulator; they need no token, have no limit and are not in the journal."""

    def __init__(self, front_door: FrontDoor) -> None:
        self._door = front_door

    def routes(self) -> list[Route]:
        """The endpoints, for Starlette."""
        return [
            Route("/simulator/journal", self.show_journal, methods=["GET"]),
            Route("/simulator/users", self.show_users, methods=["GET"]),
            Route("/simulator/assignments", self.show_assignments, methods=["GET"]),
            Route("/simulator/state", self.show_state, methods=["GET"]),
            Route("/simulator/seed", self.add_seed, methods=["POST"]),
            Route("/simulator/faults", self.add_faults, methods=["POST"]),
            Route("/simulator/faults", self.clear_faults, methods=["DELETE"]),
        ]

    async def show_journal(self, _request: Request) -> Response:
        """Returns all calls."""
        return JSONResponse([call.as_json() for call in self._door.journal])

    async def show_users(self, _request: Request) -> Response:
        """Returns all users, including what the API does not return."""
        with self._door.lock:
            world = self._door.world
            emails = Counter(email.user_id for email in world.emails)
            return JSONResponse(
                [
                    {
                        **serializers.full_row(user, world.switches.date_form),
                        "Archived": user.is_archived,
                        "Emails": emails[user.id],
                    }
                    for _, user in sorted(world.users.items())
                ]
            )

    async def show_assignments(self, _request: Request) -> Response:
        """Returns all assignments, which the API accepts but never returns (§11)."""
        with self._door.lock:
            world = self._door.world
            return JSONResponse(
                {
                    "people": [serializers.assignment_row(one) for one in sorted(world.assignments)],
                    "placements": [
                        {"UserID": user_id, "PlacementID": placement_id, "GrantAccess": grants_access}
                        for (user_id, placement_id), grants_access in sorted(world.placement_access.items())
                    ],
                }
            )

    async def show_state(self, _request: Request) -> Response:
        """Returns counts and settings."""
        with self._door.lock:
            world = self._door.world
            return JSONResponse(
                {
                    "customer": {"ID": world.organisations.customer_id, "Name": world.organisations.customer_name},
                    "organisations": [serializers.organisation_row(one) for one in world.organisations.search({})],
                    "users": len(world.users),
                    "archived": sum(user.is_archived for user in world.users.values()),
                    "classrooms": len(world.classrooms.by_id),
                    "placements": len(world.placements.by_id),
                    "emails": len(world.emails),
                    "sessions": len(self._door.sessions),
                    "calls": len(self._door.journal),
                    "faults": [asdict(fault) for fault in self._door.faults.pending],
                    "switches": asdict(world.switches),
                }
            )

    async def add_seed(self, request: Request) -> Response:
        """Adds rows; 400 with a sentence for a malformed seed."""
        try:
            seed = Seed.of(await request.json())
            with self._door.lock:
                sow(self._door.world, seed)
        except ValueError as problem:
            return _refused(str(problem) if isinstance(problem, SeedRefused) else "A seed is a JSON object.")
        return Response(status_code=204)

    async def add_faults(self, request: Request) -> Response:
        """Orders faults, and sets the random rate if given; 400 with a sentence for a malformed order."""
        try:
            order = json.loads(await request.body())
            faults = [_fault(row) for row in order.get("faults", ())]
            if "rate" in order:
                kinds = [FaultKind(kind) for kind in order.get("kinds", ORDINARY)]
                self._door.faults.at_random(float(order["rate"]), int(order.get("seed", 0)), kinds)
        except (ValueError, TypeError, AttributeError) as problem:
            return _refused(f"This is not an order of faults: {problem}.")
        self._door.faults.add(*faults)
        return Response(status_code=204)

    async def clear_faults(self, _request: Request) -> Response:
        """Cancels every fault, random ones included."""
        self._door.faults.clear()
        return Response(status_code=204)


def _fault(row: Mapping[str, Any]) -> Fault:
    unknown = set(row) - {field.name for field in fields(Fault)}
    if unknown:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    return Fault(**row)


def _refused(sentence: str) -> Response:
    return JSONResponse({"message": sentence}, status_code=400)
