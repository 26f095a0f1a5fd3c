"""Stage extract that dies at a picture."""

from bunny.quality.measure import measure_frame
from bunny.stage.extract import Extract
from bunny.video.image_writer import FrameWriter


class Killed(BaseException):
    """As kill -9: nothing of the stage catches it, and nothing of its own runs after it."""


class Mortal(Extract):
    """Dies after so many pictures."""

    limit = 0

    def _writer(self, info):
        stage = self

        class Counting(FrameWriter):
            def write(self, frame, crop=None):
                if stage.limit == 0:
                    raise Killed
                stage.limit -= 1
                return super().write(frame, crop)

        return Counting(self.output_dir / "frame", info, self.config.extraction, measure_frame)
