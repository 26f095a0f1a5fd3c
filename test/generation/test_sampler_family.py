"""Drawing on tiny untrained bases of the other families: samplers, sizes, starts, refusals."""

import numpy as np
import pytest
from PIL import Image
from toy import tiny_model

from bunny.core.error import UserError
from bunny.generation import request as generation_request
from bunny.generation import sampler, scheduler
from bunny.generation.request import GenerationRequest
from bunny.training import base

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FAMILIES = ("sdxl", "sd3", "flux")
STEP_PX = {"sdxl": 8, "sd3": 16, "flux": 16}


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "base"
    tiny_model.save(folder, request.param)
    return base.load_base(str(folder), device="cpu")


def drawn(loaded, *wanted, **options):
    made = list(sampler.generate(loaded, wanted, **options))
    assert [one.error for one in made] == [None] * len(wanted)
    found = {one.index: np.asarray(one.picture, np.int16) for one in made}
    return [found[index] for index in range(len(wanted))]


def test_every_sampler_that_fits_draws_and_others_are_refused(loaded):
    names = scheduler.compatible(loaded)
    made = [
        drawn(loaded, GenerationRequest(prompt="a", seed=1, num_steps=4, scheduler=n))[0]
        for n in names
    ]
    assert all(picture.shape == (32, 32, 3) and picture.std() > 1 for picture in made)
    other = "ddim" if loaded.family.name in ("sd3", "flux") else "flow_euler"
    with pytest.raises(UserError, match=rf"scheduler {other}: .*{', '.join(names)}\)"):
        drawn(loaded, GenerationRequest(prompt="a", seed=1, scheduler=other))


def test_picture_does_not_depend_on_the_batch_and_sizes_are_free(loaded):
    wanted = [
        GenerationRequest(prompt=p, seed=i, num_steps=3, width_px=48, height_px=32)
        for i, p in enumerate(("a bear", "an owl", "snow"))
    ]
    together, apart = drawn(loaded, *wanted), drawn(loaded, *wanted, batch_size=1)
    assert together[0].shape == (32, 48, 3)
    assert max(np.abs(one - two).max() for one, two in zip(together, apart, strict=True)) <= 1
    step = STEP_PX[loaded.family.name]
    with pytest.raises(UserError, match=f"expected a multiple of {step} px"):
        drawn(loaded, GenerationRequest(prompt="a", seed=1, width_px=32 + step // 2))


def test_drawing_from_a_picture(loaded, tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    start = generation_request.load_init_image(tmp_path / "a.png", 0.5)
    wanted = GenerationRequest(
        prompt="a", seed=1, num_steps=4, width_px=48, height_px=32, start=start
    )
    from_noise = GenerationRequest(prompt="a", seed=1, num_steps=4, width_px=48, height_px=32)
    one, two = drawn(loaded, wanted)[0], drawn(loaded, from_noise)[0]
    assert one.shape == two.shape == (32, 48, 3)
    assert (one != two).any()


def test_negative_prompt_acts_or_is_refused(loaded):
    wanted = GenerationRequest(prompt="a bear", negative_prompt="an owl", seed=1, num_steps=3)
    if loaded.family.name == "flux":
        with pytest.raises(
            UserError, match=("negative_prompt: base models of the family flux do not support it")
        ):
            drawn(loaded, wanted)
        return
    plain = GenerationRequest(prompt="a bear", seed=1, num_steps=3)
    assert (drawn(loaded, wanted)[0] != drawn(loaded, plain)[0]).any()
