"""The list of models."""

import dataclasses

import pytest

from bunny.character import model_file
from bunny.core.error import UserError


def test_every_model_is_here_with_a_licence():
    for name, one in model_file.MODELS.items():
        assert one.name == name and one.licence and one.source
        if one.extra is None or model_file.is_present(one):
            assert model_file.path_of(one).stat().st_size > 1000


@pytest.mark.parametrize("change", [{"package": "no_such_package"}, {"file": "models/none.onnx"}])
def test_missing_weights_are_one_sentence(change):
    lost = dataclasses.replace(model_file.MODELS["sface"], **change)
    assert not model_file.is_present(lost)
    with pytest.raises(UserError, match=r"model sface: expected .* found none; run `uv sync`"):
        model_file.path_of(lost)


def test_weights_of_an_extra_name_the_extra():
    lost = dataclasses.replace(model_file.MODELS["mtcnn"], package="no_such_package")
    with pytest.raises(UserError, match="run `uv sync --extra mtcnn`"):
        model_file.path_of(lost)
