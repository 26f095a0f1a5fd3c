"""What video models want of a clip: frames a second, area, lengths."""

from dataclasses import dataclass

from bunny.core.config.clip import ClipConfig
from bunny.core.error import UserError

SIDE_STEP = 32  # sides that every model's patches and latents divide


@dataclass(frozen=True, kw_only=True)
class ClipForm:
    """Rate, largest size and lengths of clips."""

    fps: float
    width_px: int
    height_px: int
    frame_step: int = 4  # the model's own lengths are n * frame_step + 1; ours are 8n + 1
    max_frames: int | None = None  # that the model makes; None: not known

    @property
    def area_px(self) -> int:
        """Pixels of a frame at most; the aspect is the film's."""
        return self.width_px * self.height_px


# Rates and sizes by the models' own configurations: Wan 2.1 and 2.2 at 16 frames a second and
# 832 x 480, Wan 2.2's 5B at 24 and 1280 x 704, HunyuanVideo at 24 and 960 x 544, LTX at 24 and
# 768 x 512. Lengths: 81, 121, 129 and 257 frames.
FORM = {
    "wan": ClipForm(fps=16.0, width_px=832, height_px=480, max_frames=81),
    "wan-5b": ClipForm(fps=24.0, width_px=1280, height_px=704, max_frames=121),
    "hunyuan": ClipForm(fps=24.0, width_px=960, height_px=544, max_frames=129),
    "ltx": ClipForm(fps=24.0, width_px=768, height_px=512, frame_step=8, max_frames=257),
}


def choose_form(wanted: ClipConfig) -> ClipForm:
    """The form of the preset; of `own`, and where it is off, that of the settings."""
    own = ClipForm(fps=wanted.fps, width_px=wanted.width_px, height_px=wanted.height_px)
    return FORM.get(wanted.preset, own)


def choose_lengths(wanted: ClipConfig) -> tuple[int, ...]:
    """Lengths to cut, the longest first: those of the settings that the model can make.

    Raises
    ------
    UserError
        If the model makes none of them.

    Examples
    --------
    >>> choose_lengths(ClipConfig(preset="wan", num_frames=(33, 121, 81)))
    (81, 33)
    """
    most = choose_form(wanted).max_frames
    lengths = sorted((n for n in wanted.num_frames if most is None or n <= most), reverse=True)
    if not lengths:
        raise UserError(
            f"clip.num_frames: expected a length of at most {most}, the most frames that "
            f"{wanted.preset} makes, got {', '.join(map(str, wanted.num_frames))}; add a shorter "
            "one"
        )
    return tuple(lengths)


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
