"""A view of a character, of which a test says only what matters to it."""

from bunny.dataset.view import CharacterView


def make_view(number=0, **values):
    """A figure in frame `number` of shot 0; `values` win over what stands here."""
    usual = {
        "subject_id": f"s{number}",
        "character": "bunny",
        "is_face": False,
        "frame_id": f"f{number}",
        "shot_index": 0,
        "frame_index": number,
        "timestamp_s": 0.0,
        "frame_size": (640, 360),
        "area": (0, 0, 640, 360),
        "confidence": 0.9,
    }
    return CharacterView(**usual | values)
