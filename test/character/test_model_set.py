"""Models of stage detect, as the settings ask for them."""

import cv2
import pytest

from bunny.character.face import yunet
from bunny.character.model_set import DetectionModels
from bunny.core.config import DetectionConfig


@pytest.mark.parametrize(("effort", "num_looks"), [("fast", 1), ("balanced", 1), ("thorough", 2)])
def test_a_close_up_is_looked_at_again_where_the_search_is_thorough(
    astronaut, monkeypatch, effort, num_looks
):
    """One face, about 600 of 1000 pixels high."""
    close_up = cv2.resize(astronaut[30:230, 120:330], (1050, 1000), interpolation=cv2.INTER_CUBIC)
    looks = []
    run = yunet.onnx_session.run_session

    def note(session, outputs, value):
        looks.append(value.shape)
        return run(session, outputs, value)

    monkeypatch.setattr(yunet.onnx_session, "run_session", note)
    DetectionModels(DetectionConfig(effort=effort)).detector(close_up)
    assert len(looks) == num_looks
