"""Hugging Face Hub: what is an id, and what is said where nothing can be fetched."""

import pytest

from bunny.core import hub
from bunny.core.error import UserError


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("google/owlv2-base", True),
        ("a/b.c_d-1", True),
        ("toy", False),
        ("a/b/c", False),
        ("/model/sd", False),
        ("./model", False),
        ("a/b\n", False),
        ("", False),
    ],
)
def test_an_id_is_an_owner_and_a_name(text, is_id):
    assert hub.is_hub_id(text) is is_id


def test_a_repository_that_cannot_be_had_is_one_sentence(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.find_cached("nobody/nothing", ["*.json"]) is None
    with pytest.raises(UserError) as refusal:
        hub.fetch("models.x", "nobody/nothing", ["*.json"], "or give a folder")
    text = str(refusal.value)
    assert text.startswith("models.x: could not get nobody/nothing from the hub")
    assert text.endswith("check the name and the network, or give a folder") and "\n" not in text


def test_an_error_becomes_one_line_of_at_most_160_characters():
    assert hub.one_line(ValueError("a\n  b")) == "a b"
    assert len(hub.one_line(ValueError("x" * 400))) == 160
