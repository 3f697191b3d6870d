import pytest

from syncd.simulator import ErrorBody, LimiterShape, make_limiter
from tests.support.clocks import Clock

from .conftest import Client, Open

START = 1_768_478_400.0


def test_a_fixed_window_opens_again_with_the_clocks_next_minute() -> None:
    limiter = make_limiter(LimiterShape.FIXED)
    assert [limiter.allow(START + 59) for _ in range(300)] == [None] * 300
    assert limiter.allow(START + 59) == pytest.approx(1)

    assert [limiter.allow(START + 60) for _ in range(300)] == [None] * 300


def test_a_sliding_window_never_lets_more_than_300_through_in_any_minute() -> None:
    limiter = make_limiter(LimiterShape.SLIDING)
    assert [limiter.allow(START + 59) for _ in range(300)] == [None] * 300
    assert limiter.allow(START + 60) == pytest.approx(59)
    assert limiter.allow(START + 118.9) is not None

    assert limiter.allow(START + 119) is None


def test_a_bucket_gives_ten_calls_and_then_five_a_second() -> None:
    limiter = make_limiter(LimiterShape.BUCKET)
    assert [limiter.allow(START) for _ in range(10)] == [None] * 10
    assert limiter.allow(START) == pytest.approx(0.2, abs=1e-5)
    assert [limiter.allow(START + number / 5) for number in range(1, 500)] == [None] * 499

    assert limiter.allow(START + 499 / 5 + 0.1) == pytest.approx(0.1, abs=1e-5)


@pytest.mark.parametrize("shape", [LimiterShape.FIXED, LimiterShape.SLIDING, LimiterShape.BUCKET])
def test_a_call_that_is_turned_away_does_not_count(shape: LimiterShape) -> None:
    limiter = make_limiter(shape)
    while limiter.allow(START) is None:
        pass
    for _ in range(1000):
        wait = limiter.allow(START)

    assert wait is not None
    assert limiter.allow(START + wait) is None


def test_no_shape_means_no_limit_and_no_limit_makes_no_limiter() -> None:
    limiter = make_limiter(LimiterShape.OFF)
    assert all(limiter.allow(START) is None for _ in range(10_000))

    with pytest.raises(ValueError, match="at least 1"):
        make_limiter(LimiterShape.FIXED, 0)


def test_301st_call_of_a_minute_is_429_with_authentication_counted(client: Client, clock: Clock) -> None:
    assert {client.get("/Customer").status_code for _ in range(299)} == {200}

    refused = client.get("/Customer")

    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers
    assert client.post("/Authentication", headers={"X-CustomerToken": client.onefile.customer_token}).status_code == 429
    clock.go_on(seconds=60)
    assert client.get("/Customer").status_code == 200


def test_a_429_can_say_when_to_come_back(open_onefile: Open, clock: Clock) -> None:
    client = open_onefile(calls_per_minute=2, retry_after=True, limiter=LimiterShape.SLIDING)
    clock.go_on(seconds=10.5)
    client.get("/Customer")

    assert client.get("/Customer").headers["Retry-After"] == "50"


def test_calls_without_a_session_use_nothing_up(open_onefile: Open) -> None:
    client = open_onefile(calls_per_minute=2)
    session = client.http.headers.pop("X-TokenID")
    assert {client.get("/Customer").status_code for _ in range(5)} == {401}
    client.http.headers["X-TokenID"] = session

    assert client.get("/Customer").status_code == 200


@pytest.mark.parametrize(
    ("wording", "start"),
    [
        (ErrorBody.MESSAGE, '{"message": "'),
        (ErrorBody.CAPITAL_MESSAGE, '{"Message": "'),
        (ErrorBody.TEXT, "User 1 "),
        (ErrorBody.HTML, "<html>"),
    ],
)
def test_errors_are_worded_as_switched(open_onefile: Open, wording: ErrorBody, start: str) -> None:
    assert open_onefile(error_body=wording).get("/User/1").text.startswith(start)
