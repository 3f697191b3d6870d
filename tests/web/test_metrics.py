"""Metrics: what a real scrape gives, that it is what is documented, and that whatever is built on it asks for it."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from syncd.core.alerts import TROUBLES
from syncd.core.guard import ChangeKind, Limits
from syncd.core.run import Outcome
from syncd.documentation import read
from syncd.errors import SyncdError
from syncd.onefile.instrumentation import Request, ResponseKind
from syncd.resources import shipped
from syncd.simulator import Fault, FaultKind
from syncd.state import daemons
from syncd.state.views.lag import UnsentChange
from syncd.web.app import make_app
from syncd.web.auth.credentials import Credentials
from syncd.web.metrics import METRICS, Metrics, Requests
from tests.support.college import College, Found, found, no_pauses_between_attempts, quiet_log, state_url
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

__all__ = ["found", "no_pauses_between_attempts", "quiet_log", "state_url"]


#: What a label may say, of those of which few values are known beforehand.
_VALUES = {
    "what": {str(subject) for subject in TROUBLES},
    "because": {str(unsent) for unsent in UnsentChange},
    "outcome": {str(outcome) for outcome in Outcome},
    "kind": {str(kind) for kind in ChangeKind},
    "window": {"1d", "7d"},
    "answer": {str(answer) for answer in ResponseKind},
}
_Scraped = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture
def college(found: Found) -> College:
    return found()


def _scrape(college: College, requests: Requests | None = None, used: float = 0.0) -> str:
    app = make_app(
        college.context.store,
        [ORGANISATION],
        Credentials(),
        college.clock,
        measured=Metrics(college.context.store, [ORGANISATION], college.clock, lambda: used, requests),
    )

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.get("/metrics")

    answer = asyncio.run(ask())
    assert answer.status_code == 200
    return answer.text


def _scraped(college: College, requests: Requests | None = None, used: float = 0.0) -> _Scraped:
    """By the name of a sample, each with its labels, the organisation's left out."""
    samples: _Scraped = {}
    for family in text_string_to_metric_families(_scrape(college, requests, used)):
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "organisation"}
            samples.setdefault(sample.name, []).append((labels, sample.value))
    # When the counters of a process began, which Prometheus' client adds by itself, is another moment in each.
    return {name: each for name, each in samples.items() if not name.endswith("_created")}


def _of(samples: _Scraped, name: str, **labels: str) -> float:
    (number,) = (number for those, number in samples[name] if those == labels)
    return number


def test_what_runs_did_is_counted_and_a_restart_counts_on(college: College) -> None:
    college.enrol("L1", "L2")
    college.enrol("L3", email="")
    college.run()
    college.correct("L1", surname="Another")
    college.run()
    samples = _scraped(college)
    assert _of(samples, "syncd_accounts", role="Learner") == 2
    assert _of(samples, "syncd_held", reason="missing") == 1
    assert _of(samples, "syncd_changes_total", action="create", outcome="applied") == 2
    assert _of(samples, "syncd_changes_total", action="update", outcome="applied") == 1
    assert _of(samples, "syncd_runs_total", state="finished") == 2
    assert _of(samples, "syncd_run_duration_seconds_count") == 2
    assert _of(samples, "syncd_run_duration_seconds_bucket", le="1.0") == 2
    assert _of(samples, "syncd_calls_total") == college.context.onefile.rate_limiter.calls
    assert _of(samples, "syncd_last_success_timestamp_seconds") == college.clock.timestamp()
    # Each of these is another process as far as metrics are concerned.
    assert _scraped(college) == samples


def test_metrics_report_age_of_waiting_records_and_of_problems(college: College) -> None:
    college.enrol("L1", email="")
    college.run()
    began = college.clock.now
    college.enrol("L2")
    college.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, times=None))
    with pytest.raises(SyncdError):
        college.run()
    college.clock.now = began + timedelta(hours=1)
    samples = _scraped(college)
    assert _of(samples, "syncd_lag_seconds", reason="held") == 3600
    assert _of(samples, "syncd_lag_seconds", reason="queued") == 3600
    assert _of(samples, "syncd_lag_seconds", reason="in_doubt") == 0
    assert _of(samples, "syncd_problem_seconds", problem="onefile_unreachable") == 3600
    assert _of(samples, "syncd_problem_seconds", problem="mis_unreachable") == 0

    college.onefile.faults.clear()
    college.run()
    samples = _scraped(college)
    assert _of(samples, "syncd_problem_seconds", problem="onefile_unreachable") == 0
    assert _of(samples, "syncd_lag_seconds", reason="queued") == 0


def test_plan_awaiting_approval_counts_as_queued_and_as_problem(college: College) -> None:
    college.with_policy(limits=Limits(floor=0))
    college.enrol("L1")
    college.run()
    college.clock.now += timedelta(minutes=10)
    college.run()
    samples = _scraped(college)
    assert _of(samples, "syncd_problem_seconds", problem="awaiting_approval") >= 600
    assert _of(samples, "syncd_lag_seconds", reason="queued") >= 600
    assert _of(samples, "syncd_runs_total", state="awaiting_approval") == 2


def test_metrics_report_daemon_schedule_and_own_process(college: College) -> None:
    requests = Requests()
    requests.note(Request("POST /User", ResponseKind.OK, 0.3))
    requests.note(Request("POST /User", ResponseKind.THROTTLED, 0.1))
    with college.context.store.begin() as connection:
        daemons.register(session_on(connection, ORGANISATION, college.clock()), "here", 1)
        daemons.note_next_run(session_on(connection, ORGANISATION), college.clock() + timedelta(minutes=15))
    samples = _scraped(college, requests, used=0.98)
    assert _of(samples, "syncd_next_run_timestamp_seconds") == college.clock.timestamp() + 900
    assert _of(samples, "syncd_allowance_used_ratio") == 0.98
    assert _of(samples, "syncd_throttled_total") == 1
    name = "syncd_onefile_request_duration_seconds_bucket"
    assert _of(samples, name, endpoint="POST /User", answer="ok", le="0.5") == 1
    ((build, one),) = samples["syncd_build_info"]
    assert (set(build), one) == ({"version", "python"}, 1)


def test_metrics_report_the_limits_of_the_guard_and_what_is_used(college: College) -> None:
    college.enrol(*(f"L{number}" for number in range(40)))
    college.run(approved_by="Ann")
    college.enrol("L40", "L41")
    college.run()
    college.clock.go_on(days=2)
    college.correct("L1", phone="020 7946 0000")
    college.run()

    samples = _scraped(college)

    assert _of(samples, "syncd_guard_used", kind="creates", window="1d") == 0
    assert _of(samples, "syncd_guard_used", kind="creates", window="7d") == 2
    assert _of(samples, "syncd_guard_used", kind="updates", window="1d") == 1
    assert _of(samples, "syncd_guard_allowed", window="1d") == 10
    assert _of(samples, "syncd_guard_allowed", window="7d") == 10


def test_metrics_contain_no_personal_data(college: College) -> None:
    college.enrol("zz-misid-1", surname="zz-surname")
    college.enrol("zz-misid-2", surname="zz-surname", email="zz-no-address")
    college.run()
    assert "zz-" not in _scrape(college)


def test_several_may_scrape_at_once(college: College) -> None:
    college.enrol("L1")
    college.run()
    app = make_app(college.context.store, [ORGANISATION], Credentials(), college.clock)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await asyncio.gather(*(client.get("/metrics") for _ in range(32)))

    answers = asyncio.run(ask())
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)
def test_a_scrape_looks_only_at_unsettled_and_recent_unapproved_changes(college: College) -> None:
    asked: list[tuple[str, Any]] = []
    engine = college.context.store.engine
    event.listen(engine, "before_cursor_execute", lambda _1, _2, statement, given, *_: asked.append((statement, given)))
    Metrics(college.context.store, [ORGANISATION], college.clock).scrape()
    about_changes = [each for each in asked if "FROM change" in each[0]]
    assert about_changes
    with engine.connect() as connection:
        for statement, given in about_changes:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given).all()
            indexes = ("USING INDEX ix_change_organisation_id_outcome", "USING COVERING INDEX ix_change_not_approved")
            assert all(any(index in row[3] for index in indexes) for row in plan if row[3][:3] != "USE"), plan


def _documented() -> list[str]:
    return [
        f"| `{name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.what} | "
        f"{'store' if each.is_stored else 'process'} |"
        for name, each in METRICS.items()
    ]


def test_the_documentation_has_every_metric_and_no_other() -> None:
    lines = [line for line in read("monitoring").splitlines() if line.startswith("| `syncd_")]
    assert lines == _documented()


def test_a_scrape_has_every_metric_that_is_documented_and_no_other(college: College) -> None:
    college.enrol("L1")
    college.enrol("L2", email="")
    college.run()
    requests = Requests()
    requests.note(Request("POST /User", ResponseKind.OK, 0.3))
    text = _scrape(college, requests)
    types = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))
    # What the client adds by itself tells when its counters began.
    told = {name: kind for name, kind in types.items() if not name.endswith("_created")}
    assert told == {name: each.kind for name, each in METRICS.items()}
    samples = _scraped(college, requests)
    for name, each in METRICS.items():
        for labels, _ in samples.get(name, []):
            assert {*labels} == {*each.labels} - {"organisation"}, name


def _alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((shipped("config") / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def _dashboard() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads((shipped("config") / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return dashboard


def _expressions() -> Iterator[tuple[str, str]]:
    for rule in _alerts():
        yield rule["alert"], rule["expr"]
    for panel in _dashboard()["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


def _selectors(expression: str) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


@pytest.mark.parametrize(("where", "expression"), [pytest.param(*one, id=one[0]) for one in _expressions()])
def test_the_alerts_and_the_dashboard_ask_for_metrics_that_there_are(where: str, expression: str) -> None:
    selectors = _selectors(expression)
    assert selectors, where
    for selector in selectors:
        name = str(selector.name)
        described = METRICS.get(name) or METRICS[re.sub("_(bucket|sum|count)$", "", name)]
        assert (name in METRICS) is (described.kind != "histogram"), f"{where} asks for {name}"
        for matcher in selector.matchers.matchers:
            assert matcher.name in described.labels, f"{where} asks {name} for {matcher.name}"
            if matcher.name in _VALUES:
                assert {*matcher.value.split("|")} <= _VALUES[matcher.name], where


@pytest.mark.parametrize("rule", _alerts(), ids=lambda rule: str(rule["alert"]))
def test_each_alert_says_what_is_so_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")
    commands = set(re.findall(r"'syncd ([a-z]+)", rule["annotations"]["description"]))
    headings = read("commands")
    assert [command for command in commands if f"### syncd {command}\n" not in headings] == []


def test_the_dashboard_is_one_that_grafana_can_lay_out() -> None:
    panels = _dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
