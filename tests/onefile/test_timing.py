"""What is told of each request to OneFile: what was asked, what kind of answer came, and nothing about anybody."""

import re
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from syncd.core.fields import Role
from syncd.errors import OneFileError
from syncd.onefile import OneFile, RateLimiter
from syncd.onefile.instrumentation import Request
from syncd.onefile.requests import create, update
from syncd.simulator import Fault, FaultKind, LimiterShape, Simulator, Switches
from tests.support.clocks import Clock
from tests.support.onefile import ASSESSOR, LEARNER, ORGANISATION, SEED, MemoryRateLimit


def _told(*faults: Fault, learner: dict[str, Any] = LEARNER) -> Counter[tuple[str, str]]:
    """Of a create, with these faults, and of an update and a search."""
    told: list[Request] = []
    clock = Clock()
    with Simulator(Switches(limiter=LimiterShape.OFF), SEED, clock=clock.timestamp) as simulator:
        rate_limiter = RateLimiter(MemoryRateLimit(), 600_000, clock=clock, sleep=clock.sleep)
        with OneFile(
            simulator.base_url,
            simulator.customer_token,
            rate_limiter,
            clock=clock,
            timeout_seconds=0.5,
            on_request=told.append,
        ) as client:
            client.customer()
            for fault in faults:
                simulator.faults.add(fault)
            with suppress(OneFileError):
                client.create(create(Role.LEARNER, ORGANISATION, learner))
            simulator.faults.clear()
            client.change(update(Role.ASSESSOR, ASSESSOR, {"LastName": "C"}))
            list(client.users(ORGANISATION, Role.LEARNER, "L1"))
    assert all(request.seconds >= 0 for request in told)
    return Counter((request.endpoint, request.answer) for request in told)


def test_endpoints_are_counted_separately_and_contain_no_id() -> None:
    told = _told()
    assert told == {
        ("POST /Authentication", "ok"): 1,
        ("GET /Customer", "ok"): 1,
        ("POST /User", "ok"): 1,
        ("POST /User/{id}", "ok"): 1,
        ("POST /User/Search/{id}/{id}", "ok"): told["POST /User/Search/{id}/{id}", "ok"],
    }
    assert not [endpoint for endpoint, _ in told if re.search(r"\d", endpoint)]


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (FaultKind.UNAVAILABLE, "failed"),
        (FaultKind.DROP_BEFORE, "none"),
        (FaultKind.THROTTLE, "throttled"),
    ],
)
def test_each_kind_of_response_is_counted_separately(kind: FaultKind, answer: str) -> None:
    assert _told(Fault(kind, times=1))["POST /User", answer] == 1


def test_refused_call_is_counted_as_refused() -> None:
    assert _told(learner={**LEARNER, "Email": ""})["POST /User", "refused"] == 1
