"""Effects of the settings of extract, filter, detect and cluster."""

from setting_effect import Effect, Seen, less


def _num_kept(seen: Seen) -> int:
    return seen.table("quality")["is_kept"].sum()


EFFECT = {
    "filtering.blur_threshold": Effect(
        values=(0.0, 1.0), stages=("filter",), look=_num_kept, holds=less
    ),
}
NOT_SEEN: dict[str, str] = {}
