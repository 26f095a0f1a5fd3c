"""The seed of a fine-tune at its second place of use: what each batch draws."""

import numpy as np
import pytest

from bunny.core.config import ModelsConfig
from bunny.training.latent_batch import LatentBatch
from bunny.training.loss import GradientStep
from bunny.training.settings import TrainingSettings
from bunny.training.training_data import TrainingData

torch = pytest.importorskip("torch")


class Drawing(GradientStep):
    """A gradient step of one picture whose loss is the next number that it draws."""

    def _batch(self, source, index, rng):
        return LatentBatch(latents=torch.zeros(1, 4, 2, 2), captions=["a"], emphasis=None)

    def _loss(self, batch, shares, rng):
        self.drawn.append(rng.random())
        return torch.zeros((), requires_grad=True)


class Optimizer:
    """Has nothing to step."""

    def backward(self, loss):
        loss.backward()


def test_a_batch_draws_by_the_seed_and_its_number():
    data = TrainingData(subject=None, prior=None, held_out=(), probe=(), phrases=None)
    found, wanted = [], []
    for seed, index in ((5, 0), (5, 1), (6, 0)):
        settings = TrainingSettings(models=ModelsConfig(), seed=seed)
        gradient_step = Drawing(None, data, settings, Optimizer())
        gradient_step.drawn = found
        gradient_step.accumulate(index)
        rng = np.random.default_rng([seed, index])
        rng.integers(2**62)  # torch's own seed comes first
        wanted.append(rng.random())
    assert found == wanted and len(set(found)) == 3
