"""Stage 7 on the adapter of a four-step fine-tune of an untrained tiny base."""

import numpy as np
import pytest
from PIL import Image

from bunny.config import Config
from bunny.error import UserError
from bunny.stage.dataset import Dataset
from bunny.stage.finetune import Finetune
from bunny.stage.generate import Generate
from bunny.table import store
from bunny.training import generate

pytestmark = pytest.mark.train

MODELS = {"training_steps": 4, "batch_size": 2, "lora_rank": 2, "learning_rate": 0.01}
DRAWN = {"prompts": ("{trigger} on a beach", "a red bear"), "seeds": (1, 2), "num_steps": 2}


def make(film_dir, base_folder, **generation) -> Generate:
    models = {**MODELS, "base_model": str(base_folder), "held_out_share": 0.3}
    config = Config(models=models, generation={**DRAWN, **generation})
    return Generate(config, film_dir, film_dir)


@pytest.fixture
def drawn(labelled_film, tiny_base_folder):
    config = make(labelled_film, tiny_base_folder).config
    Dataset(config, labelled_film, labelled_film).execute()
    Finetune(config, labelled_film, labelled_film).execute()
    result = make(labelled_film, tiny_base_folder).execute()
    return result, labelled_film, store.read(labelled_film / "table", "picture")


def test_each_prompt_and_seed_with_and_without_adapter(drawn, tiny_base_folder):
    result, film_dir, table = drawn
    assert (result.status, result.rows, result.failed) == ("done", 8, 0)
    assert table["adapter_hash"].is_null().sum() == 4
    assert set(table["prompt"]) == {"bunny character on a beach", "a red bear"}
    assert table["similarity"].is_not_null().all()
    assert "likeness to held-out pictures" in result.note
    with Image.open(film_dir / "picture" / "bunny" / "grid.png") as grid:
        assert grid.size == (4 * 36 + 4, 2 * 36 + 4 + 16)  # a row a prompt, a column a seed
    assert make(film_dir, tiny_base_folder).execute().status == "skipped"


def test_provenance_is_in_the_picture(drawn):
    _result, film_dir, table = drawn
    for row in table.to_dicts():
        facts = generate.read_provenance(film_dir / row["file"])
        for key in ("prompt", "seed", "num_steps", "guidance_scale", "adapter_hash", "base_model"):
            assert facts[key] == row[key]
        with Image.open(film_dir / row["file"]) as picture:
            picture.load()
            assert picture.info["prompt"] == row["prompt"]


def test_adapter_changes_the_picture(drawn):
    _result, film_dir, table = drawn
    rows = {r["picture_id"]: np.asarray(Image.open(film_dir / r["file"])) for r in table.to_dicts()}
    pairs = [(rows[i], rows[i.replace("adapter", "base")]) for i in rows if i.endswith("adapter")]
    assert len(pairs) == 4
    assert all((one != two).any() for one, two in pairs)


def test_lost_picture_is_drawn_again_the_same(drawn, tiny_base_folder):
    _result, film_dir, table = drawn
    lost = film_dir / table["file"][0]
    before = lost.read_bytes()
    lost.unlink()
    assert make(film_dir, tiny_base_folder).execute().status == "done"
    assert lost.read_bytes() == before
    assert store.read(film_dir / "table", "picture").equals(table)


def test_other_base_is_refused(drawn, tmp_path):
    from bunny.training import toy

    _result, film_dir, _table = drawn
    toy.save_tiny(tmp_path / "other", seed=8)
    with pytest.raises(UserError, match="run the stage finetune again"):
        make(film_dir, tmp_path / "other").execute()


def test_no_fine_tune_nothing_drawn(labelled_film, tiny_base_folder):
    for name in ("dataset", "training_run"):
        store.write(labelled_film / "table", name, store.from_rows(name, []))
    result = make(labelled_film, tiny_base_folder).execute()
    assert (result.status, result.rows) == ("done", 0)
    assert "no finished fine-tune" in result.note
