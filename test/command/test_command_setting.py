"""Settings that a command reads beside the stage."""

from types import SimpleNamespace

import cv2
import pytest

from bunny import demo
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.library.search import query


@pytest.mark.parametrize(
    ("model", "sentence"),
    [("yunet", "no faces found in the films"), ("hog", "expected a face, found none")],
)
def test_a_face_is_searched_by_the_detector_of_the_films(tmp_path, model, sentence):
    """A face 30 pixels high is too small for HOG; in the films there are no faces."""
    picture = cv2.imread(str(demo.reference_dir() / "astronaut" / "1.jpg"))
    height = round(60 * picture.shape[0] / picture.shape[1])
    small = cv2.resize(picture, (60, height), interpolation=cv2.INTER_AREA)
    path = tmp_path / "small.png"
    cv2.imwrite(str(path), cv2.copyMakeBorder(small, *[60] * 4, cv2.BORDER_REPLICATE))
    config = Config(detection={"face_detection_model": model})
    library = SimpleNamespace(detection_config=config.detection, face={})
    with pytest.raises(UserError, match=sentence):
        query.by_face(library, path, None, 3, [])
