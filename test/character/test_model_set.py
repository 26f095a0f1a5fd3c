"""Models of stage detect, as the settings ask for them."""

import cv2
import pytest

from bunny.character.face import yunet
from bunny.character.model_set import DetectionModels
from bunny.core.config import DetectionConfig


@pytest.fixture
def looks(monkeypatch):
    """Shapes of what the network is shown."""
    shapes = []
    run = yunet.onnx_session.run_session

    def note(session, outputs, value):
        shapes.append(value.shape)
        return run(session, outputs, value)

    monkeypatch.setattr(yunet.onnx_session, "run_session", note)
    return shapes


@pytest.mark.parametrize(("effort", "num_looks"), [("fast", 1), ("balanced", 1), ("thorough", 2)])
def test_a_close_up_is_looked_at_again_where_the_search_is_thorough(
    astronaut, looks, effort, num_looks
):
    """One face, about 600 of 1000 pixels high."""
    close_up = cv2.resize(astronaut[30:230, 120:330], (1050, 1000), interpolation=cv2.INTER_CUBIC)
    DetectionModels(DetectionConfig(effort=effort)).detector(close_up)
    assert len(looks) == num_looks


@pytest.mark.parametrize(("is_wanted", "has_more"), [(True, True), (False, False)])
def test_small_faces_are_looked_for_only_where_that_is_set(astronaut, looks, is_wanted, has_more):
    """A dark picture of 1600 px in which nothing is sure at the first look, of 640 px."""
    dark = cv2.resize(astronaut, (1600, 1600), interpolation=cv2.INTER_CUBIC) // 8
    DetectionModels(DetectionConfig(has_small_faces=is_wanted)).detector(dark)
    assert looks[0] == (1, 3, 640, 640) and (len(looks) > 1) == has_more
