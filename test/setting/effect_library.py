"""Effects of the settings of the project, of corrections and of search."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import film_by_hand
import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file
from setting_effect import Effect, Seen, more

from bunny.command import review

# -- the project and its runs -----------------------------------------------------------------


def _report_head(seen: Seen) -> str:
    """The project as the report names it at its end."""
    seen.bunny("report")
    page = (seen.space.root / "report.html").read_text(encoding="utf-8")
    return re.search(r"<footer>Diffusion Bunny · (.+?) · ", page).group(1)


def _where_films_are(seen: Seen) -> tuple[list[str], bool]:
    """Folders of films that a run in an empty project makes, and whether `status` finds one."""
    home = seen.data / "empty project"
    (home / "meadow").mkdir(parents=True)
    cv2.imwrite(str(home / "meadow" / "1.png"), np.full((64, 64, 3), 90, np.uint8))
    seen.bunny("run", home / "meadow", "--until", "extract", folder=home)
    made = [path.relative_to(home).parts[:2] for path in home.rglob("source.json")]
    return ["/".join(parts) for parts in made], "meadow-" in seen.bunny("status", folder=home).out


def _has_report(seen: Seen) -> bool:
    """Whether a run that did something leaves a report."""
    (seen.space.root / "report.html").unlink(missing_ok=True)
    seen.bunny("run", seen.space.film_id, "--only", "review", "--force")
    return (seen.space.root / "report.html").exists()


def _has_metrics(seen: Seen) -> bool:
    """Whether a stage's metrics are written for Prometheus."""
    for path in seen.space.log.glob("metrics.prom"):
        path.unlink()
    seen.run("review", more={"pipeline.force_rerun": True})
    return (seen.space.log / "metrics.prom").exists()


# -- corrections ------------------------------------------------------------------------------


_service = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[1] / "caption" / "service.py"))
)
LEARN = {"review.learn_method": "triplet", "review.learn_held_out_share": 0.5}


def _said(seen: Seen) -> list[dict[str, Any]]:
    """What is in the record."""
    lines = (seen.space.root / "feedback.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _board(seen: Seen, *messages: dict[str, Any], is_alone: bool = True) -> list[dict[str, Any]]:
    """What the film's board answers to a browser that comes and says something."""
    shown = review.show(seen.space, seen.config, is_alone=is_alone)
    with contextlib.closing(shown):
        asked = [{"kind": "hello", "query": {"sort": "film"}}, *messages]
        return [
            shown.desk.handle({"view": "v", "id": number, **message})[0]
            for number, message in enumerate(asked)
        ]


def _num_alike(seen: Seen) -> tuple[int, int]:
    """Look-alikes of the first shot: on the command line, and on the board."""
    said = seen.bunny("correct", "assign", seen.space.film_id, "s00000", "--to", "hut", "--like")
    [_, found] = _board(seen, {"kind": "preview", "rows": [0]})
    return int(said.out.split()[0]), len(found["found"])


def _num_exemplars(seen: Seen) -> list[int]:
    """Members that a new name of a place of four shots is remembered by."""
    seen.bunny("correct", "rename", seen.space.film_id, "scene-002", "mill")
    deed = {"kind": "act", "action": "rename", "cluster": "scene-002", "text": "barn"}
    _board(seen, {**deed, "user": "ann"})
    return [len(event["cluster"]["exemplars"]) for event in _said(seen)]


def _users(seen: Seen) -> list[str]:
    """Who is said to correct: on the command line, on the board of a browser and of a notebook."""
    seen.bunny("correct", "comment", seen.space.film_id, "s00000", "--text", "hm")
    users = [_said(seen)[0]["user"]]
    return users + [_board(seen, is_alone=alone)[0]["default_user"] for alone in (True, False)]


def _learn(seen: Seen) -> dict[str, Any]:
    """What `bunny learn` tells of the film's shots."""
    [part] = json.loads(seen.bunny("learn", "--json").out)["parts"]
    return part


def _methods(seen: Seen) -> list[str]:
    return [row["method"] for row in _learn(seen)["methods"]]


def _num_judged(seen: Seen) -> int:
    """Corrections that can be judged of twelve shots, put two by two into new places.

    One of a pair is judged only where the other one is not held out with it.
    """
    pairs = [(shot, "", f"pair-{shot // 2}") for shot in range(12)]
    film_by_hand.say(seen.space.root, pairs)
    return _learn(seen)["judged"]


def _accuracy(seen: Seen) -> float:
    """Share of held-out corrections that the triplet adapter would have known."""
    return _learn(seen)["methods"][1]["accuracy"]


def _shift(seen: Seen) -> float:
    """By how much the adapter that was learned moves vectors: the norm of B A."""
    _learn(seen)
    [path] = seen.space.checkpoint.rglob("adapter.safetensors")
    parts = load_file(path)
    return float(np.linalg.norm(parts["0.up"] @ parts["0.down"]))


def _use_of_learned(seen: Seen) -> tuple[bool, bool]:
    """Whether `bunny learn` says that its version is not used; whether stage review uses it."""
    said = seen.bunny("learn", more={"review.learn_method": "correlation"})
    seen.run("review")
    source = seen.table("asset")["source"].cast(str)
    return "so it is not used" in said.out, "learned" in set(source)


def _served(look: Callable[[Any], Any]) -> Callable[[Seen], Any]:
    """What the server of the board is told, which is not started."""

    def served(seen: Seen) -> Any:
        from tornado.ioloop import IOLoop
        from voila.app import Voila

        found: list[Any] = []
        asyncio.set_event_loop(asyncio.new_event_loop())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Voila, "launch_instance", lambda argv, config: found.append(look(config)))
            seen.bunny("review", seen.space.film_id, "--no-browser")
        IOLoop.current().close(all_fds=True)
        asyncio.set_event_loop(None)
        return found[0]

    return served


# -- second opinions ------------------------------------------------------------------------------

# In the film `doubtful` the face of frame 1 is like Anna to 0.3 and like Ben to 0, that of frame 2
# to 0.5 and 0.42: their margins are 0.3 and 0.08. All other faces are like nobody, or surely Anna.
OPINION = {
    "identification.provider": "local",
    "captioning.local.model": "seer",
    "captioning.batch_size": 1,
}


def _identified(seen: Seen) -> pl.DataFrame:
    """Table `identification` after a server said "none of these" to everything."""
    said = _service.Reply(text="[[ ## number ## ]]\n0\n\n[[ ## completed ## ]]")
    with _service.serve(lambda _: said) as server:
        seen.run(
            "detect",
            "cluster",
            "review",
            more={"captioning.local.endpoint_url": f"{server.url}/v1"},
        )
    return seen.table("identification")


def _doubtful(seen: Seen) -> list[int]:
    """Frames of the figures that were asked about."""
    return sorted(int(i.split("-")[1]) for i in _identified(seen)["frame_id"])


def _who_is_in_doubt(seen: Seen) -> str | None:
    """Name of the face between Anna and Ben."""
    _identified(seen)
    label = seen.table("label_corrected").filter(pl.col("frame_id").str.ends_with("2"))
    return label["character"].item()


# -- search -----------------------------------------------------------------------------------


QUESTIONS = range(0, 320, 20)  # shots, of which each is asked for the one most like it
POOR = {"search.exact_below": 0, "search.index_connectivity": 3, "search.max_results": 1}


def _shots(seen: Seen, *question: str) -> list[int]:
    """Shots that answer, the best first."""
    return [
        row["shot_index"]
        for row in json.loads(seen.bunny("search", "--json", *question).out)["shots"]
    ]


def _num_found(seen: Seen) -> tuple[int, int]:
    """Shots that a filter lets pass, and shots like another one."""
    return len(_shots(seen)), len(_shots(seen, "--like", "0"))


def _vectors(seen: Seen) -> np.ndarray:
    return np.stack(seen.table("embedding")["vector"].to_numpy()).astype(np.float32)


def _most_like(vectors: np.ndarray, shot: int) -> int:
    """The other shot with the largest cosine."""
    cosine = vectors @ vectors[shot]
    cosine[shot] = -1
    return int(np.argmax(cosine))


def _index(seen: Seen) -> Path:
    """The one index that a search made."""
    _shots(seen, "--like", "0")
    [path] = seen.data.rglob("*.usearch")
    return path


def _num_indexes(seen: Seen) -> int:
    _shots(seen, "--like", "0")
    return len(list(seen.data.rglob("*.usearch")))


def _connectivity(seen: Seen) -> int:
    """How many neighbours a node of the index has, as its file says."""
    from usearch.index import Index

    return Index.restore(str(_index(seen)), view=True).connectivity


def _quality(seen: Seen) -> float:
    """Share of shots whose most like one the index knows if it looks no further than it must."""
    from usearch.index import Index

    index, vectors = Index.restore(str(_index(seen)), view=True), _vectors(seen)
    index.expansion_search = 2
    keys = index.search(vectors, 2, threads=1).keys[:, 1]
    found = (keys - np.load(_index(seen).with_suffix(".npy")).min()).astype(int)  # one run of keys
    right = [_most_like(vectors, shot) for shot in range(0, len(vectors), 4)]
    return float(np.mean(found[::4] == right))


def _num_right(seen: Seen) -> int:
    """Questions that are answered by the shot that is most like the one that was asked for."""
    vectors = _vectors(seen)
    found = [_shots(seen, "--like", str(shot)) for shot in QUESTIONS]
    return sum(
        own == [_most_like(vectors, shot)] for own, shot in zip(found, QUESTIONS, strict=True)
    )


EFFECT = {
    "pipeline.has_metrics": Effect((True, False), _has_metrics, gives=(True, False)),
    "pipeline.has_report": Effect((True, False), _has_report, gives=(True, False)),
    "project.name": Effect(
        ("meadow", "shore"), _report_head, gives=("meadow 0.1.0", "shore 0.1.0"), film="bare"
    ),
    "project.version": Effect(
        ("1.2", "3.4"),
        _report_head,
        gives=("diffusion-bunny 1.2", "diffusion-bunny 3.4"),
        film="bare",
    ),
    "project.data_dir": Effect(
        ("here", "over/there"),
        _where_films_are,
        gives=((["here/output"], True), (["over/there"], True)),
        film="bare",
    ),
    "identification.provider": Effect(
        ("none", "local"),
        _doubtful,
        given={key: value for key, value in OPINION.items() if "provider" not in key},
        gives=([], [2]),
        film="doubtful",
    ),
    "identification.max_margin": Effect(
        (0.15, 0.35), _doubtful, given=OPINION, gives=([2], [1, 2]), film="doubtful"
    ),
    "identification.num_candidates": Effect(
        (1, 2),
        lambda seen: _identified(seen)["choices"].to_list(),
        given=OPINION,
        gives=([["anna"]], [["anna", "ben"]]),
        film="doubtful",
    ),
    "identification.weight": Effect(
        (0, 1), _who_is_in_doubt, given=OPINION, gives=("anna", None), film="doubtful"
    ),
    "review.user": Effect(("mia", "jo"), _users, gives=(["mia"] * 3, ["jo"] * 3)),
    "review.exemplars": Effect((1, 3), _num_exemplars, gives=([1, 1], [3, 3])),
    "review.propagate_similarity": Effect(
        values=(0.8, 0.6),  # cosines of 15, 30, 50 and 80 degrees: 0.97, 0.87, 0.64, 0.17
        look=_num_alike,
        gives=((2, 2), (3, 3)),
    ),
    "review.max_propagated": Effect((1, 2), _num_alike, gives=((1, 1), (2, 2))),
    "review.is_learned_used": Effect(
        (False, True), _use_of_learned, gives=((True, False), (False, True)), film="lit"
    ),
    "review.learn_method": Effect(
        ("threshold", "correlation"),
        _methods,
        gives=(["none", "threshold"], ["none", "correlation"]),
        film="lit",
    ),
    "review.learn_held_out_share": Effect(
        values=(0.9, 0.05),  # two parts; each correction alone
        given={"review.learn_method": "threshold"},
        look=_num_judged,
        holds=lambda few, all_of_them: few < all_of_them == 12,
        film="lit",
    ),
    "review.learn_steps": Effect((1, 20), _accuracy, given=LEARN, holds=more, film="lit"),
    "review.triplet_margin": Effect(
        (0.001, 2.0),
        _shift,
        given={**LEARN, "review.learn_steps": 25},
        holds=more,
        film="lit",
        is_slow=True,
    ),
    "review.port": Effect(
        (28_866, 30_866),
        _served(lambda told: told.Voila.port),
        holds=lambda one, other: 0 <= one - 28_866 <= 20 and 0 <= other - 30_866 <= 20,
    ),
    "review.idle_seconds": Effect(
        (40, 60),
        _served(lambda told: told.MappingKernelManager.cull_idle_timeout),
        given={"review.port": 0},
        gives=(40, 60),
    ),
    "search.exact_below": Effect((5, 6), _num_indexes, gives=(1, 0)),
    "search.index_connectivity": Effect(
        (3, 9), _connectivity, given={"search.exact_below": 0}, gives=(3, 9)
    ),
    "search.index_expansion_add": Effect(
        values=(8, 512),  # an index of three neighbours a node knows 0.05 and 0.21 of them
        given=POOR,
        look=_quality,
        holds=lambda poor, good: poor < 0.1 < good,  # a margin: threads make each index anew
        film="wide",
        is_slow=True,
    ),
    "search.index_expansion_search": Effect(
        values=(8, 4096),
        given={**POOR, "search.index_expansion_add": 8},
        look=_num_right,
        holds=lambda few, most: few < 12 <= most,  # of sixteen; about 5 and 16
        film="wide",
        is_slow=True,
    ),
    "search.max_results": Effect((1, 20), _num_found, gives=((1, 1), (5, 4))),
}
