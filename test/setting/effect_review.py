"""Effects of the settings of corrections: said on the command line and the board, and learned."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import runpy
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import vector_film
from safetensors.numpy import load_file
from setting_effect import Effect, Seen, more

from bunny.command import review

_service = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[1] / "caption" / "service.py"))
)
START_S = 60  # in which a server begins to listen
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


def _is_enough(seen: Seen) -> bool:
    """Whether 72 corrections are enough to learn from."""
    said = seen.bunny("learn", may_fail=True, more={"review.learn_method": "threshold"})
    assert said.code == 0 or "corrections that assign" in said.err, said.err
    return said.code == 0


def _num_judged(seen: Seen) -> int:
    """Corrections that can be judged of twelve shots, put two by two into new places.

    One of a pair is judged only where the other one is not held out with it.
    """
    pairs = [(shot, "", f"pair-{shot // 2}") for shot in range(12)]
    vector_film.say(seen.space.root, pairs)
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
    """Start the board in this process, look at what serves it, and stop it."""

    def served(seen: Seen) -> Any:
        from tornado.ioloop import IOLoop
        from voila.app import Voila

        found: list[Any] = []
        ended = threading.Event()

        def watch() -> None:
            for _ in range(START_S * 20):
                if ended.wait(0.05):
                    return
                loop = getattr(Voila.instance(), "ioloop", None) if Voila.initialized() else None
                if loop is not None:  # it listens, and answers from now on
                    if _is_listening(Voila.instance().port):
                        found.append(look(Voila.instance()))
                    loop.add_callback(loop.stop)
                    return
            os.kill(os.getpid(), signal.SIGINT)

        before = signal.getsignal(signal.SIGTERM)  # the server puts its own in place
        watcher = threading.Thread(target=watch)
        asyncio.set_event_loop(asyncio.new_event_loop())  # later Pythons warn of none
        watcher.start()
        try:
            seen.bunny("review", seen.space.film_id, "--no-browser")
        finally:
            ended.set()
            watcher.join()
            Voila.clear_instance()
            signal.signal(signal.SIGTERM, before)
            IOLoop.current().close(all_fds=True)  # it listens no longer
            asyncio.set_event_loop(None)
        assert found, "nothing listens at the board's port"
        return found[0]

    return served


def _is_listening(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


# -- second opinions ------------------------------------------------------------------------------

# Of `doubtful_film` the face of frame 1 is like Anna to 0.3 and like Ben to 0, that of frame 2 to
# 0.5 and 0.42: their margins are 0.3 and 0.08. All other faces are like nobody, or surely Anna.
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


EFFECT = {
    "identification.provider": Effect(
        values=("none", "local"),
        given={key: value for key, value in OPINION.items() if "provider" not in key},
        look=_doubtful,
        gives=([], [2]),
        film="doubtful_film",
    ),
    "identification.max_margin": Effect(
        values=(0.15, 0.35),
        given=OPINION,
        look=_doubtful,
        gives=([2], [1, 2]),
        film="doubtful_film",
    ),
    "identification.num_candidates": Effect(
        values=(1, 2),
        given=OPINION,
        look=lambda seen: _identified(seen)["choices"].to_list(),
        gives=([["anna"]], [["anna", "ben"]]),
        film="doubtful_film",
    ),
    "identification.weight": Effect(
        values=(0, 1),
        given=OPINION,
        look=_who_is_in_doubt,
        gives=("anna", None),
        film="doubtful_film",
    ),
    "review.user": Effect(
        values=("mia", "jo"),
        look=_users,
        gives=(["mia"] * 3, ["jo"] * 3),
        film="plane_film",
    ),
    "review.exemplars": Effect(
        values=(1, 3), look=_num_exemplars, gives=([1, 1], [3, 3]), film="plane_film"
    ),
    "review.propagate_similarity": Effect(
        values=(0.8, 0.6),  # cosines of 15, 30, 50 and 80 degrees: 0.97, 0.87, 0.64, 0.17
        look=_num_alike,
        gives=((2, 2), (3, 3)),
        film="plane_film",
    ),
    "review.max_propagated": Effect(
        values=(1, 2), look=_num_alike, gives=((1, 1), (2, 2)), film="plane_film"
    ),
    "review.is_learned_used": Effect(
        values=(False, True),
        look=_use_of_learned,
        gives=((True, False), (False, True)),
        film="lit_film",
    ),
    "review.learn_method": Effect(
        values=("threshold", "correlation"),
        look=_methods,
        gives=(["none", "threshold"], ["none", "correlation"]),
        film="lit_film",
    ),
    "review.min_learn_events": Effect(
        values=(72, 73), look=_is_enough, gives=(True, False), film="lit_film"
    ),
    "review.learn_held_out_share": Effect(
        values=(0.9, 0.05),  # two parts; each correction alone
        given={"review.learn_method": "threshold"},
        look=_num_judged,
        holds=lambda few, all_of_them: few < all_of_them == 12,
        film="lit_film",
    ),
    "review.learn_steps": Effect(
        values=(1, 20), given=LEARN, look=_accuracy, holds=more, film="lit_film"
    ),
    "review.triplet_margin": Effect(
        values=(0.001, 2.0),
        given={**LEARN, "review.learn_steps": 25},
        look=_shift,
        holds=more,
        film="lit_film",
    ),
    "review.port": Effect(
        values=(28_866, 30_866),
        look=_served(lambda app: app.port),
        holds=lambda one, other: 0 <= one - 28_866 <= 20 and 0 <= other - 30_866 <= 20,
        film="plane_film",
    ),
    "review.idle_seconds": Effect(
        values=(40, 60),
        given={"review.port": 0},
        look=_served(
            lambda app: (app.kernel_manager.cull_idle_timeout, app.kernel_manager.cull_interval)
        ),
        gives=((40, 10), (60, 15)),
        film="plane_film",
    ),
}
