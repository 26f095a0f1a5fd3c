"""FFmpeg's scene change score (filter scdet), as a second opinion on our own shot detector."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

THRESHOLD = 10.0  # from which FFmpeg's filter calls it another scene; its default
SCORE = "lavfi.scd.score"


class SceneScorer:
    """Scores the frames of a stream; all of one size."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._count = 0

    def push(self, picture: np.ndarray) -> float:
        """Score of a frame against those before it.

        Parameters
        ----------
        picture : np.ndarray, shape (height, width, 3), uint8, BGR

        Returns
        -------
        float
            In [0, 100]: the lesser of the mean absolute difference to the frame before and of how
            much that is more, or less, than it was; steady motion scores low. 0 for the first.
        """
        graph = self._graph = self._graph or _make_graph(picture.shape[1], picture.shape[0])
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
        frame.pts = self._count
        self._count += 1
        graph.push(frame)
        return float(graph.pull().metadata[SCORE])


def _make_graph(width: int, height: int) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=width, height=height, format=VideoFormat("bgr24"), time_base=Fraction(1, 25)
    )
    filters = [source, graph.add("scdet", f"threshold={THRESHOLD}"), graph.add("buffersink")]
    for one, following in pairwise(filters):
        one.link_to(following)
    graph.configure()
    return graph
