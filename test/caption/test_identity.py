"""Numbers that a served model answers with, asked over a real local server."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from bunny.caption import identity
from bunny.caption.answer import CaptionQuestion

service = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "service.py")))


def said(number: str):
    return service.Reply(text=f"[[ ## number ## ]]\n{number}\n\n[[ ## completed ## ]]")


def ask(*replies):
    """The answer about a figure beside two references, and the requests that it took."""
    question = CaptionQuestion(frame_id="f1", picture=b"\xff\xd8", facts=("anna", "ben"), names=())
    with service.serve(lambda n: replies[min(n, len(replies) - 1)]) as server:
        url = f"{server.url}/v1"
        model = service.served_model("local", model="seer", endpoint_url=url, max_retries=0)
        answer = identity.IdentityProvider(model).ask(question)
    return answer, server.requests


@pytest.mark.parametrize(
    ("text", "number"), [("2", "2"), ("0", "0"), ("[1]", "1"), ("2.", "2"), ("#1", "1")]
)
def test_a_number_is_an_answer(text, number):
    answer, requests = ask(said(text))
    assert (answer.status, answer.text, len(requests)) == ("done", number, 1)
    assert (answer.input_tokens, answer.output_tokens) == (11, 7)


@pytest.mark.parametrize("text", ["3", "anna", "-1 or 2", "1, 2", "between 1 and 2", "99999"])
def test_what_is_no_number_of_a_reference_is_asked_for_once_more(text):
    answer, requests = ask(said(text), said("1"))
    assert (answer.status, answer.text, len(requests)) == ("done", "1", 2)
    assert "expected a whole number from 0 to 2" in str(requests[1][2])
    again, requests = ask(said(text))
    assert (again.status, len(requests)) == ("failed", 2)
    assert "expected a whole number from 0 to 2" in again.error


def test_names_of_characters_are_not_sent():
    _, requests = ask(said("1"))
    [(_, _, body)] = requests
    assert "anna" not in str(body)
    assert "ben" not in str(body)


def test_a_refusal_is_told_from_a_number():
    answer, _ = ask(service.Reply(text="I'm sorry, but I can't identify people."))
    assert answer.status == "refused"
