"""Each family from end to end: train, save, load in diffusers' own pipeline, draw."""

import numpy as np
import pytest
import torch

from bunny.core.config import ModelsConfig
from bunny.dataset import image_folder
from bunny.training import base, latent_batch, loss, trainer
from bunny.training.family.contract import LAYOUTS
from bunny.training.settings import TrainingSettings

pytestmark = pytest.mark.parametrize("name", LAYOUTS)

MODELS = ModelsConfig(
    lora_rank=2,
    lora_alpha=4,  # a scale of 2, so that a lost alpha shows
    learning_rate=1e-2,
    warmup_steps=1,
    training_steps=8,
    batch_size=2,
    checkpoint_every=8,
    trains_text_encoder=True,
)
SETTINGS = TrainingSettings(models=MODELS)


def example(value: int) -> image_folder.TrainingExample:
    picture = np.full((32, 32, 3), value, np.uint8)
    picture[8:24, 8:24] = 255 - value
    return image_folder.TrainingExample(picture=picture, caption="a red bear")


TRAIN = [example(40), example(200)]


def test_what_was_trained_does_the_same_when_loaded_by_diffusers(family_folder, tmp_path, name):
    folder = str(family_folder(name))
    result = trainer.train_lora(base.load_base(folder, "cpu"), TRAIN, TRAIN[:1], tmp_path, SETTINGS)
    assert result.num_zero == 0
    assert result.has_fallen

    loaded = base.load_base(folder, "cpu")
    family, pipe = loaded.family, loaded.family.pipeline()
    options = {"prompt": "a red bear", "num_inference_steps": 2, "height": 32, "width": 32}

    def draw() -> np.ndarray:
        generator = torch.Generator().manual_seed(1)
        return np.asarray(pipe(**options, generator=generator, output_type="np").images[0])

    plain = draw()
    pipe.load_lora_weights(tmp_path, weight_name="adapter.safetensors")
    parts = {family.denoiser_key: family.denoiser}
    parts |= {key: family.text_encoders[key] for key in family.trainable_text}
    change, size = loss.output_change(
        family, parts, latent_batch.encode_bucket(loaded, TRAIN), family.encode_words, SETTINGS.seed
    )
    assert change == pytest.approx(result.output_change, rel=1e-3)
    assert size == pytest.approx(result.output_size, rel=1e-3)
    adapted = draw()
    assert np.isfinite(adapted).all()
    assert np.abs(adapted - plain).max() > 1e-3
