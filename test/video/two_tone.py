"""Thumbnails of two grey levels, of which every measure can be worked out by hand."""

import numpy as np

HEIGHT, WIDTH, MEAN = 36, 64, 128
LEFT = np.ones((HEIGHT, WIDTH))  # brighter on the left
LEFT[:, WIDTH // 2 :] = -1
TOP = np.ones((HEIGHT, WIDTH))  # has nothing in common with it
TOP[HEIGHT // 2 :] = -1


def picture(contrast, pattern=LEFT, mean=MEAN):
    """Luma `mean` plus and minus `contrast`; its spread is `contrast / 255`."""
    thumb = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    thumb[..., 0] = np.round(mean + contrast * pattern)
    return thumb


def turned(num_rows):
    """`LEFT` with its first rows the other way round: their correlation is 1 - rows / 18."""
    pattern = LEFT.copy()
    pattern[:num_rows] *= -1
    return pattern
