"""The films on which settings are tried, each made once and only copied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import drawn_base
import drawn_shots
import film_by_hand
import pytest
import setting_effect
import yaml

from bunny.core import workspace

STAGES = ("dataset", "finetune", "evaluate", "generate")
DRAWN = {  # settings of the drawn film: as little as shows an effect
    "dataset": {"has_wider_crops": False},
    "models": {
        "characters": ["bunny"],
        "targets": "attention",
        "lora_rank": 2,
        "lora_alpha": 2,
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup_steps": 0,
        "training_steps": 2,
        "checkpoint_every": 1,
        "batch_size": 2,
    },
    "evaluation": {
        "choose_prompts": ["{trigger} in a forest"],
        "report_prompts": ["{trigger} on a beach"],
        "seeds": [11],
        "num_steps": 1,
        "num_bootstrap": 20,
        "max_checkpoints": 1,
        "has_other_characters": False,
    },
    "generation": {
        "guidance_scale": 3.0,
        "prompts": ["{trigger} in the snow"],
        "seeds": [1, 2],
        "num_steps": 2,
    },
}


def _drawn(root: Path) -> setting_effect.Film:
    """Eight drawn frames and an untrained base: dataset to generate have run."""
    drawn_base.save_all(root / "base")
    (root / "config").mkdir()
    settings = {**DRAWN, "models": {**DRAWN["models"], "base_model": str(root / "base" / "sd")}}
    (root / "config" / "main.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    film = setting_effect.Film(root=root, data=root / "data", film_id="drawn")
    drawn_shots.write(film.data / "output" / film.film_id)
    setting_effect.run(film, STAGES)
    return film


def _bare(root: Path) -> setting_effect.Film:
    """A film of which nothing is known yet but its file."""
    (root / "bare.mp4").write_bytes(b"no film, but a file")
    space = workspace.create(root, "films", root / "bare.mp4", None)
    return setting_effect.Film(root=root, data=space.root.parents[1], film_id=space.film_id)


FILM = {
    "bare": _bare,
    "doubtful": film_by_hand.doubtful,
    "drawn": _drawn,
    "lit": film_by_hand.lit,
    "plane": film_by_hand.plane,
    "wide": film_by_hand.wide,
}


@pytest.fixture(scope="session")
def film(tmp_path_factory) -> Callable[[str], setting_effect.Film]:
    """A film by its name, made when it is first asked for."""
    made: dict[str, setting_effect.Film] = {}

    def find(name: str) -> setting_effect.Film:
        if name not in made:
            made[name] = FILM[name](tmp_path_factory.mktemp(name))
        return made[name]

    return find
