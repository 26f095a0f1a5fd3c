"""The list of models."""

import dataclasses

import pytest

from bunny.character import model
from bunny.error import UserError


def test_every_model_is_here_with_a_licence():
    for name, one in model.MODELS.items():
        assert one.name == name and one.licence and one.source
        assert model.is_present(one) and model.path_of(one).stat().st_size > 1000


@pytest.mark.parametrize("change", [{"package": "no_such_package"}, {"file": "models/none.onnx"}])
def test_missing_weights_are_one_sentence(change):
    lost = dataclasses.replace(model.MODELS["sface"], **change)
    assert not model.is_present(lost)
    with pytest.raises(UserError, match=r"model sface: expected .* found none; run `uv sync`"):
        model.path_of(lost)
