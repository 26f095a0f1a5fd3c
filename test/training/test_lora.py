"""The fine-tune: resume, what is learned, what is saved."""

import dataclasses

import numpy as np
import pytest
from safetensors.torch import load_file

from bunny.training import checkpoint, generate, lora

pytestmark = pytest.mark.train

SETTINGS = lora.LoraSettings(
    rank=2, alpha=4, learning_rate=1e-2, warmup_steps=1, steps=4, batch_size=2, checkpoint_every=2
)


def example(value: int, caption: str) -> lora.Example:
    picture = np.full((32, 32, 3), value, np.uint8)
    picture[8:24, 8:24] = 255 - value
    return lora.Example(picture=picture, caption=caption)


TRAIN = [example(40, "bunny, close-up"), example(90, "bunny in a green place, day")]
HELD_OUT = [example(60, "bunny, wide shot")]


def train(base, folder, settings=SETTINGS, **options):
    return lora.train_lora(base, TRAIN, HELD_OUT, folder, settings, **options)


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
    metadata = {"trigger": "bunny", "base": "tiny"}
    return train(loaded, folder, metadata=metadata, log_dir=folder / "log"), folder


def test_every_b_has_moved(whole):
    result, _ = whole
    assert result.num_adapted > 20  # attention, feed-forward, convolutions
    assert result.num_zero == 0


def test_curve_has_every_step_and_held_out_at_checkpoints(whole):
    result, _ = whole
    assert [s.step for s in result.curve] == [0, 1, 2, 3, 4]
    assert [s.held_out_loss is not None for s in result.curve] == [True, False, True, False, True]
    assert result.curve[1].learning_rate == pytest.approx(1e-2)  # end of the warm-up
    assert result.curve[4].learning_rate == pytest.approx(1e-3)  # a tenth at the end
    first, last = result.held_out()
    assert first > 0 and last > 0 and first != last


def test_adapter_says_what_it_is(whole):
    result, folder = whole
    header = checkpoint.read_metadata(result.adapter_file)
    assert header["trigger"] == "bunny"
    assert header["base"] == "tiny"
    assert result.adapter_hash == checkpoint.hash_file(folder / "adapter.safetensors")
    assert any((folder / "log").glob("events*"))


@pytest.mark.parametrize("step", [1, 2, 3])
def test_resume_equals_uninterrupted_bit_for_bit(whole, tiny_base, tmp_path, step):
    result, _ = whole
    metadata = {"trigger": "bunny", "base": "tiny"}
    with pytest.raises(KilledError):
        train(tiny_base, tmp_path, metadata=metadata, on_step=kill_at(step))
    again = train(tiny_base, tmp_path, metadata=metadata)
    assert again.adapter_hash == result.adapter_hash
    assert again.curve == result.curve
    one, two = load_file(result.adapter_file), load_file(again.adapter_file)
    assert all((one[name] == two[name]).all() for name in one)


def test_checkpoint_of_other_settings_is_not_taken_up(tiny_base, tmp_path):
    with pytest.raises(KilledError):
        train(tiny_base, tmp_path, on_step=kill_at(3))
    seen = []
    other = dataclasses.replace(SETTINGS, seed=5)
    train(tiny_base, tmp_path, other, on_step=lambda s: seen.append(s.step))
    assert seen == [1, 2, 3, 4]


def test_damaged_checkpoint_falls_back_to_the_older(whole, tiny_base, tmp_path):
    metadata = {"trigger": "bunny", "base": "tiny"}
    train(tiny_base, tmp_path, metadata=metadata)
    (tmp_path / "checkpoint-000004" / "state.pt").write_bytes(b"cut short")
    seen = []
    again = train(tiny_base, tmp_path, metadata=metadata, on_step=lambda s: seen.append(s.step))
    assert seen == [3, 4]
    assert again.adapter_hash == whole[0].adapter_hash


def test_base_is_given_back_as_it_was(tiny_base, tmp_path):
    before = {name: w.clone() for name, w in tiny_base.unet.state_dict().items()}
    train(tiny_base, tmp_path)
    after = tiny_base.unet.state_dict()
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)
    assert not any(p.requires_grad for p in tiny_base.unet.parameters())


def test_no_picture_and_no_number_are_refused(tiny_base, tmp_path):
    with pytest.raises(lora.TrainingError, match="at least one training picture"):
        lora.train_lora(tiny_base, [], [], tmp_path, SETTINGS)
    wild = dataclasses.replace(SETTINGS, learning_rate=1e30, steps=20, weight_decay=0.0)
    with pytest.raises(lora.TrainingError, match=r"lower models\.learning_rate"):
        train(tiny_base, tmp_path, wild)


def test_drawing_with_and_without_the_adapter(whole, tiny_base, tmp_path):
    result, _ = whole
    adapter = generate.Adapter(path=result.adapter_file, hash=result.adapter_hash)
    drawings = [generate.Drawing(prompt="bunny", seed=s, num_steps=2) for s in (1, 2)]

    def pictures(chosen):
        found = {}
        generate.draw(
            tiny_base,
            drawings,
            chosen,
            on_picture=lambda index, picture, error: found.update({index: np.asarray(picture)}),
        )
        return [found[0], found[1]]

    plain, again, adapted = pictures(None), pictures(None), pictures(adapter)
    assert all((a == b).all() for a, b in zip(plain, again, strict=True))  # seeded
    assert (plain[0] != plain[1]).any()
    assert (plain[0] != adapted[0]).any()
    assert plain[0].shape == (32, 32, 3)
    off = dataclasses.replace(adapter, strength=0.0)
    assert all((a == b).all() for a, b in zip(plain, pictures(off), strict=True))


def test_values_that_are_no_numbers_become_errors(tiny_base):
    for weight in tiny_base.unet.parameters():
        weight.fill_(float("nan"))
    told = []
    generate.draw(
        tiny_base,
        [generate.Drawing(prompt="bunny", seed=1, num_steps=2)],
        on_picture=lambda *facts: told.append(facts),
    )
    assert told == [(0, None, "the model drew values that are no numbers")]


def test_pictures_of_several_sizes_are_all_trained_on(tiny_base, tmp_path):
    """32x32, 32x64 and 64x32: no size is dropped, and held-out ones are weighed by number."""
    shapes = [(32, 32), (64, 32), (32, 64), (32, 32)]
    examples = [
        lora.Example(picture=np.full((*shape, 3), 60 * i, np.uint8), caption=f"bunny {i}")
        for i, shape in enumerate(shapes)
    ]
    groups = lora.by_size(examples)
    assert [[e.caption for e in g] for g in groups] == [
        ["bunny 0", "bunny 3"],
        ["bunny 1"],
        ["bunny 2"],
    ]
    settings = lora.LoraSettings(rank=2, steps=6, batch_size=2, checkpoint_every=6)
    result = lora.train_lora(tiny_base, examples, examples[1:], tmp_path, settings)
    assert all(np.isfinite(step.loss) for step in result.curve[1:])
    assert None not in result.held_out()
