"""What video models want of a clip: frames a second, area, lengths."""

from dataclasses import dataclass

from bunny.core.config.clip import ClipConfig

SIDE_STEP = 32  # sides that every model's patches and latents divide


@dataclass(frozen=True, kw_only=True)
class ClipForm:
    """Rate, largest size and lengths of clips."""

    fps: float
    width_px: int
    height_px: int
    frame_step: int = 4  # the model's own lengths are n * frame_step + 1; ours are 8n + 1

    @property
    def area_px(self) -> int:
        """Pixels of a frame at most; the aspect is the film's."""
        return self.width_px * self.height_px


# Rates and sizes by the models' own configurations: Wan 2.1 and 2.2 at 16 frames a second and
# 832 x 480, Wan 2.2's 5B at 24 and 1280 x 704, HunyuanVideo at 24 and 960 x 544, LTX at 24 and
# 768 x 512.
FORM = {
    "wan": ClipForm(fps=16.0, width_px=832, height_px=480),
    "wan-5b": ClipForm(fps=24.0, width_px=1280, height_px=704),
    "hunyuan": ClipForm(fps=24.0, width_px=960, height_px=544),
    "ltx": ClipForm(fps=24.0, width_px=768, height_px=512, frame_step=8),
}


def choose_form(wanted: ClipConfig) -> ClipForm:
    """The form of the preset; of `own`, and where it is off, that of the settings."""
    own = ClipForm(fps=wanted.fps, width_px=wanted.width_px, height_px=wanted.height_px)
    return FORM.get(wanted.preset, own)


def choose_size(
    width_px: int, height_px: int, form: ClipForm, max_upscale: float
) -> tuple[int, int]:
    """Size that a picture is written at: sides of 32, the aspect nearly kept, no more than allowed.

    Parameters
    ----------
    width_px, height_px : int
        Of what is cut out of the film's picture.
    max_upscale : float
        Largest factor that it may be enlarged by.

    Returns
    -------
    (int, int)
        Width and height; at least 32 each.

    Examples
    --------
    >>> choose_size(1920, 1080, ClipForm(fps=16, width_px=832, height_px=480), 1.0)
    (832, 448)
    >>> choose_size(320, 240, ClipForm(fps=16, width_px=832, height_px=480), 1.0)
    (320, 224)
    """
    scale = min((form.area_px / (width_px * height_px)) ** 0.5, max_upscale)
    sides = (int(side * scale) // SIDE_STEP * SIDE_STEP for side in (width_px, height_px))
    width, height = (max(SIDE_STEP, side) for side in sides)
    return width, height
