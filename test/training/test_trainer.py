"""The fine-tune: resume, what is learned, what is saved."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bunny.core import file_hash
from bunny.core.config import ModelsConfig
from bunny.dataset import image_folder
from bunny.generation import request, sampler
from bunny.training import latent_batch, trainer
from bunny.training import settings as training_settings
from bunny.training.adapter_file import safetensors_file

MODELS = ModelsConfig(
    lora_rank=2,
    lora_alpha=4,
    learning_rate=1e-2,
    warmup_steps=1,
    training_steps=4,
    batch_size=2,
    checkpoint_every=2,
)
SETTINGS = training_settings.TrainingSettings(
    models=MODELS, metadata={"trigger": "bunny", "base": "tiny"}
)


def example(value: int, caption: str, **more) -> image_folder.TrainingExample:
    picture = np.full((32, 32, 3), value, np.uint8)
    picture[8:24, 8:24] = 255 - value
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    return image_folder.TrainingExample(picture=picture, caption=caption, mask=mask, **more)


TRAIN = [
    example(40, "bunny, close-up"),
    example(90, "bunny in a green place, day", repeats=2),
    example(200, "character in the snow", role=image_folder.CLASS),
]
HELD_OUT = [example(60, "bunny, wide shot")]
EVERYTHING = {
    "trains_text_encoder": True,
    "ema_decay": 0.9,
    "gradient_accumulation": 2,
    "background_weight": 0.2,
    "flip_share": 0.5,
    "noise_offset": 0.05,
    "schedule": "linear",
}


def change(seed: int = 0, **models) -> training_settings.TrainingSettings:
    """The settings with others of `models`."""
    return dataclasses.replace(SETTINGS, seed=seed, models=MODELS.model_copy(update=models))


def train(base, folder, settings=SETTINGS, **options):
    return trainer.train_lora(base, TRAIN, HELD_OUT, folder, settings, **options)


class KilledError(Exception):
    pass


def kill_at(step):
    def on_step(done):
        if done.step == step:
            raise KilledError

    return on_step


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_folder):
    """An uninterrupted run."""
    from bunny.training import base

    folder = tmp_path_factory.mktemp("whole")
    loaded = base.load_base(str(tiny_folder), device="cpu")
    return train(loaded, folder, log_dir=folder / "log"), folder


def test_every_b_has_moved_and_the_output_with_it(whole):
    result, _ = whole
    assert result.num_adapted > 20  # attention, feed-forward, convolutions
    assert result.num_zero == 0
    assert 0 < result.output_change < 10 * result.output_size


def test_curve_has_every_step_and_fixed_losses_at_checkpoints(whole):
    result, _ = whole
    assert [s.step for s in result.curve] == [0, 1, 2, 3, 4]
    assert [s.held_out_loss is not None for s in result.curve] == [True, False, True, False, True]
    assert [s.probe_loss is not None for s in result.curve] == [True, False, True, False, True]
    assert result.curve[1].learning_rate == pytest.approx(1e-2)  # end of the warm-up
    assert result.curve[4].learning_rate == pytest.approx(1e-3)  # a tenth at the end
    first, last = result.held_out()
    assert first > 0 and last > 0 and first != last
    assert result.has_fallen == (result.probe()[1] < result.probe()[0])
    assert not result.stopped_early


def test_each_checkpoint_is_an_adapter_and_the_last_is_the_runs(whole):
    result, folder = whole
    assert [(k.step, k.file.name) for k in result.kept] == [
        (2, "step-000002.safetensors"),
        (4, "step-000004.safetensors"),
    ]
    assert result.adapter_file == folder / "adapter.safetensors"
    assert result.adapter_hash == file_hash.hash_file(result.adapter_file) == result.kept[-1].hash
    assert result.kept[0].hash != result.kept[1].hash
    assert [k.held_out_loss for k in result.kept] == [result.curve[i].held_out_loss for i in (2, 4)]
    for kept in result.kept:
        header = safetensors_file.read_texts(kept.file)
        assert (header["trigger"], header["base"]) == ("bunny", "tiny")
        assert (header["step"], header["rank"], header["alpha"]) == (str(kept.step), "2", "4")
    assert any((folder / "log").glob("events*"))


@pytest.mark.parametrize("step", [1, 3])
def test_resume_equals_uninterrupted_bit_for_bit(whole, tiny_base, tmp_path, step):
    result, _ = whole
    with pytest.raises(KilledError):
        train(tiny_base, tmp_path, on_step=kill_at(step))
    again = train(tiny_base, tmp_path)
    assert again.adapter_hash == result.adapter_hash
    assert [k.hash for k in again.kept] == [k.hash for k in result.kept]
    assert again.curve == result.curve


def scalars(log_dir):
    """(step, value) of each scalar that TensorBoard shows."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(log_dir), purge_orphaned_data=False).Reload()
    tags = found.Tags()["scalars"]
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in tags}


def test_a_killed_and_resumed_run_shows_each_step_once_in_tensorboard(whole, tiny_base, tmp_path):
    result, folder = whole
    log_dir = tmp_path / "log"
    with pytest.raises(KilledError):
        train(tiny_base, tmp_path, log_dir=log_dir, on_step=kill_at(3))  # kept after step 2
    train(tiny_base, tmp_path, log_dir=log_dir)
    assert scalars(log_dir) == scalars(folder / "log")
    for name in ("loss", "held_out_loss", "probe_loss", "learning_rate"):
        points = {step.step: getattr(step, name) for step in result.curve}
        points = {step: value for step, value in points.items() if value is not None}
        assert dict(scalars(log_dir)[name]) == pytest.approx(points, rel=1e-6)
        assert len(scalars(log_dir)[name]) == len(points)


def test_resume_with_everything_at_once_bit_for_bit(tiny_base, tmp_path):
    """Text encoder, average, accumulation, class pictures, masks, flips, offset; 6 steps."""
    settings = change(**EVERYTHING, training_steps=6, checkpoint_every=3)
    one = train(tiny_base, tmp_path / "one", settings)
    with pytest.raises(KilledError):
        train(tiny_base, tmp_path / "two", settings, on_step=kill_at(5))
    seen = []
    two = train(tiny_base, tmp_path / "two", settings, on_step=lambda s: seen.append(s.step))
    assert seen == [4, 5, 6]
    assert two.adapter_hash == one.adapter_hash
    assert two.curve == one.curve
    names = load_file(one.adapter_file).keys()
    assert {name.split(".")[0] for name in names} == {"unet", "text_encoder"}
    header = safetensors_file.read_texts(one.adapter_file)
    assert header["components"] == "text_encoder, unet"
    assert one.num_zero == 0


def test_checkpoint_of_other_settings_is_not_taken_up(tiny_base, tmp_path):
    with pytest.raises(KilledError):
        train(tiny_base, tmp_path, on_step=kill_at(3))
    seen = []
    other = change(seed=5, training_steps=2)
    result = train(tiny_base, tmp_path, other, on_step=lambda s: seen.append(s.step))
    assert seen == [1, 2]
    assert [k.step for k in result.kept] == [2]


def test_step_adapters_of_an_abandoned_run_are_gone(tiny_base, tmp_path):
    train(tiny_base, tmp_path)
    assert [p.name for p in sorted(tmp_path.glob("step-*"))] == [
        "step-000002.safetensors",
        "step-000004.safetensors",
    ]
    other = change(seed=5, training_steps=3, checkpoint_every=3)
    result = train(tiny_base, tmp_path, other)
    assert [k.step for k in result.kept] == [3]
    assert [p.name for p in tmp_path.glob("step-*")] == ["step-000003.safetensors"]
    assert [p.name for p in tmp_path.glob("checkpoint-*")] == ["checkpoint-000003"]


CHANGES = {
    "nothing": lambda train, held: (train, held),
    "a caption": lambda train, held: (changed(train, caption="bunny, wide shot"), held),
    "a mask": lambda train, held: (changed(train, mask=np.full((32, 32), 9, np.uint8)), held),
    "no mask": lambda train, held: (changed(train, mask=None), held),
    "a picture": lambda train, held: (changed(train, picture=train[1].picture), held),
    "repeats": lambda train, held: (changed(train, repeats=3), held),
    "a role": lambda train, held: (changed(train, role=image_folder.CLASS), held),
    "a held-out caption": lambda train, held: (train, changed(held, caption="bunny")),
    "one picture less": lambda train, held: (train[1:], held),
    "two captions exchanged": lambda train, held: (
        [
            dataclasses.replace(train[0], caption=train[1].caption),
            dataclasses.replace(train[1], caption=train[0].caption),
            train[2],
        ],
        held,
    ),
}


def changed(examples, **values):
    """The first of them with other values."""
    return [dataclasses.replace(examples[0], **values), *examples[1:]]


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory, tiny_folder):
    """A run killed after three of four steps."""
    from bunny.training import base

    folder = tmp_path_factory.mktemp("broken")
    with pytest.raises(KilledError):
        train(base.load_base(str(tiny_folder), device="cpu"), folder, on_step=kill_at(3))
    return folder


@pytest.mark.parametrize("kind", CHANGES)
def test_a_run_goes_on_only_with_the_same_pictures_masks_and_words(
    broken_off, tiny_base, tmp_path, kind
):
    shutil.copytree(broken_off, tmp_path / "run")
    examples, held_out = CHANGES[kind](TRAIN, HELD_OUT)
    seen = []

    def stop(step):
        seen.append(step.step)
        raise KilledError

    with pytest.raises(KilledError):
        trainer.train_lora(tiny_base, examples, held_out, tmp_path / "run", SETTINGS, on_step=stop)
    assert seen == [3 if kind == "nothing" else 1]


@pytest.mark.parametrize("is_list", [False, True])
@pytest.mark.attack
def test_damaged_checkpoint_falls_back_to_the_older(whole, tiny_base, tmp_path, caplog, is_list):
    train(tiny_base, tmp_path)
    path = tmp_path / "checkpoint-000004" / "state.pt"
    torch.save([1], path) if is_list else path.write_bytes(b"cut short")
    seen = []
    again = train(tiny_base, tmp_path, on_step=lambda s: seen.append(s.step))
    assert seen == [3, 4]
    assert again.adapter_hash == whole[0].adapter_hash
    words = "holds no state" if is_list else "cannot be read"
    assert f"checkpoint-000004 {words}" in caplog.text


def test_base_is_given_back_as_it_was(tiny_base, tmp_path):
    parts = (tiny_base.family.denoiser, tiny_base.family.text_encoders["text_encoder"])
    before = [{name: w.clone() for name, w in p.state_dict().items()} for p in parts]
    settings = change(
        **EVERYTHING, training_steps=1, precision="bf16", has_gradient_checkpointing=True
    )
    train(tiny_base, tmp_path, settings)
    for part, was in zip(parts, before, strict=True):
        after = part.state_dict()
        assert was.keys() == after.keys()
        assert all((was[name] == after[name]).all() for name in was)
        assert not any(p.requires_grad for p in part.parameters())
        assert not part.training
    with pytest.raises(KilledError):  # and also after an error
        train(tiny_base, tmp_path, on_step=kill_at(1))
    assert tiny_base.family.denoiser.state_dict().keys() == before[0].keys()


def test_no_picture_and_no_number_are_refused(tiny_base, tmp_path):
    with pytest.raises(training_settings.TrainingError, match="at least one training picture"):
        trainer.train_lora(tiny_base, TRAIN[2:], [], tmp_path, SETTINGS)
    wild = change(learning_rate=1e30, training_steps=20)
    with pytest.raises(training_settings.TrainingError, match=r"lower models\.learning_rate"):
        train(tiny_base, tmp_path, wild)


def test_an_adapter_that_changes_nothing_is_an_error(tiny_base, tmp_path):
    still = change(learning_rate=0.0, training_steps=1)
    with pytest.raises(training_settings.TrainingError, match="has no effect after 1 steps"):
        train(tiny_base, tmp_path, still)


def test_drawing_with_and_without_the_adapter(whole, tiny_base, tmp_path):
    result, _ = whole
    adapter = request.WeightedAdapter(path=result.adapter_file, hash=result.adapter_hash)
    drawings = [request.GenerationRequest(prompt="bunny", seed=s, num_steps=2) for s in (1, 2)]

    def pictures(chosen):
        return [np.asarray(d.picture) for d in sampler.generate(tiny_base, drawings, chosen)]

    plain, adapted = pictures(None), pictures(adapter)
    assert (plain[0] != plain[1]).any()
    assert (plain[0] != adapted[0]).any()
    assert plain[0].shape == (32, 32, 3)


def test_pictures_of_several_sizes_are_all_trained_on(tiny_base, tmp_path):
    """32x32, 32x64 and 64x32: no size is dropped, and class pictures of another size join in."""
    shapes = [(32, 32), (64, 32), (32, 64), (32, 32)]
    examples = [
        image_folder.TrainingExample(
            picture=np.full((*shape, 3), 60 * i, np.uint8), caption=f"bunny {i}"
        )
        for i, shape in enumerate(shapes)
    ]
    groups = latent_batch.group_by_size(examples)
    assert [[e.caption for e in g] for g in groups] == [
        ["bunny 0", "bunny 3"],
        ["bunny 1"],
        ["bunny 2"],
    ]
    settings = change(batch_size=1, checkpoint_every=4)
    prior = dataclasses.replace(examples[1], role=image_folder.CLASS)
    result = trainer.train_lora(tiny_base, [*examples, prior], examples[1:], tmp_path, settings)
    assert all(np.isfinite(step.loss) for step in result.curve[1:])
    assert None not in result.held_out()


def test_samples_are_drawn_with_what_is_learned_so_far(tiny_base, tmp_path):
    settings = dataclasses.replace(
        change(ema_decay=0.5, learning_rate=0.5),
        sample_every=2,
        sample_prompts=("bunny",),
        draw=sampler.draw_plain,
    )
    train(tiny_base, tmp_path, settings)
    one, two = (tmp_path / "sample" / f"step-00000{step}-0.png" for step in (2, 4))
    assert one.read_bytes() != two.read_bytes()


def test_rerun_reads_what_it_encoded_before(tiny_base, tmp_path):
    train(tiny_base, tmp_path)
    files = sorted(p.name for p in (tmp_path / "cache").iterdir())
    assert {name.split("-")[0] for name in files} == {"latents", "words"}
    tiny_base.family.vae.encoder = None  # it must not be asked
    train(tiny_base, tmp_path, change(learning_rate=5e-3))
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == files


def test_header_keeps_what_diffusers_needs_to_load_it(whole):
    header = safetensors_file.read_texts(whole[0].adapter_file)
    assert json.loads(header["lora_adapter_metadata"])["unet.r"] == 2
