"""The list of models."""

import dataclasses
import os
import pickle

import numpy as np
import pytest
import torch

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


def test_old_torch_weights_are_those_that_torch_reads(tmp_path):
    weights = {
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "part": torch.arange(10)[4:7],
        "scalar": torch.tensor(2.5),
    }
    path = tmp_path / "old.pth"
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    found = model_file.read_torch_weights(path)
    assert list(found) == ["turned", "part", "scalar"]
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["part"].tolist() == [4, 5, 6] and found["part"].dtype == np.int64
    assert found["scalar"] == np.float32(2.5) and found["scalar"].shape == ()


def test_a_pickle_of_other_things_is_not_run(tmp_path):
    class Command:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Command()))
    with pytest.raises(pickle.UnpicklingError, match=r"expected tensors alone, got \w+.mkdir"):
        model_file.read_torch_weights(path)
    assert not (tmp_path / "made").exists()
    torch.save({"a": torch.zeros(1)}, path)  # a zip archive, the format since 1.6
    with pytest.raises(pickle.UnpicklingError):
        model_file.read_torch_weights(path)
