"""The films on which settings are tried, each made once and only copied."""

from pathlib import Path

import drawn_base
import drawn_film as drawings
import pytest
import setting_effect
import yaml

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


@pytest.fixture(scope="session")
def small_film(small_project) -> setting_effect.Film:
    """Three shots of the sample film on which every stage has run; see `small_project.py`."""
    workspace = Path(small_project.done["workspace"])
    return setting_effect.Film(
        root=small_project.folder, data=workspace.parents[1], film_id=workspace.name
    )


@pytest.fixture(scope="session")
def drawn_film(tmp_path_factory) -> setting_effect.Film:
    """Eight drawn frames and an untrained base: dataset to generate have run, in seconds."""
    root = tmp_path_factory.mktemp("drawn")
    drawn_base.save_all(root / "base")
    (root / "config").mkdir()
    settings = {**DRAWN, "models": {**DRAWN["models"], "base_model": str(root / "base" / "sd")}}
    (root / "config" / "main.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    film = setting_effect.Film(root=root, data=root / "data", film_id="drawn")
    drawings.write(film.data / "output" / film.film_id)
    setting_effect.run(film, STAGES)
    return film
