"""Which answers with a status of success are words that something was wrong."""

import json

import httpx
import pytest

from syncd.onefile.responses import Unreadable, parse_complaint

_NO: object = {"Message": "No."}


def _json(value: object) -> httpx.Response:
    return httpx.Response(200, content=json.dumps(value), headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_json({"message": "No."}), "No."),
        (_json({"Message": "No.", "ModelState": {"user.Email": ["Bad.", "Taken."]}}), "No.; Bad.; Taken."),
        (_json({"error": {"message": "No.", "code": 7}}), "No."),
        (_json({"Errors": ["No."], "ID": 0}), "No."),
        (_json("No."), "No."),
        (_json(False), ""),
        (httpx.Response(200, text="The seat is\n taken."), "The seat is taken."),
        (httpx.Response(202, content=json.dumps(_NO)), "No."),
    ],
)
def test_words_are_a_complaint(answer: httpx.Response, said: str) -> None:
    assert parse_complaint(answer) == said


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(204),
        httpx.Response(200, text="  \n"),
        *map(_json, (None, "", 300_002, True, [], {}, {"ID": 7, "LastName": "No."}, {"Message": ""}, {"errors": []})),
        _json({"Username": "ann", "Password": "secret"}),
    ],
)
def test_answer_without_words_is_no_complaint(answer: httpx.Response) -> None:
    assert parse_complaint(answer) is None


def test_web_page_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        parse_complaint(httpx.Response(200, text="\n<!DOCTYPE html><html>We'll be back</html>"))
