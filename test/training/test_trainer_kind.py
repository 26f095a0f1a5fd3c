"""Ways to train: DoRA, text encoder, averages, precision, early stop, memory that ends."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bunny.core.config import ModelsConfig
from bunny.core.error import UserError
from bunny.dataset import image_folder
from bunny.dataset.crop_caption import CaptionWords
from bunny.generation import class_image
from bunny.training import base as training_base
from bunny.training import lora, loss, setup, trainer
from bunny.training import settings as training_settings
from bunny.training.optimizer import AdapterOptimizer, MasterWeights
from bunny.training.settings import Step, TrainingSettings

MODELS = ModelsConfig(
    lora_rank=2,
    learning_rate=1e-2,
    warmup_steps=1,
    training_steps=2,
    batch_size=2,
    checkpoint_every=2,
)


def example(value: int, **more) -> image_folder.TrainingExample:
    picture = np.full((32, 32, 3), value, np.uint8)
    picture[8:24, 8:24] = 255 - value
    return image_folder.TrainingExample(picture=picture, caption="bunny", **more)


TRAIN, HELD_OUT = [example(40), example(90)], [example(60)]


def change(**models) -> ModelsConfig:
    return MODELS.model_copy(update=models)


def train(base, folder, *, held_out=HELD_OUT, on_step=None, seed=0, **models):
    settings = TrainingSettings(models=change(**models), seed=seed)
    return trainer.train_lora(base, TRAIN, held_out, folder, settings, on_step=on_step)


@pytest.mark.parametrize(
    "changes",
    [
        {"adapter": "dora", "has_gradient_checkpointing": True},
        {"precision": "bf16"},
        {"precision": "fp16", "targets": "attention"},
    ],
    ids=lambda c: "-".join(map(str, c.values())),
)
def test_every_way_learns_and_leaves_no_layer_behind(tiny_base, tmp_path, changes):
    result = train(tiny_base, tmp_path, **changes)
    assert result.num_zero == 0
    assert result.output_change > 0
    from safetensors.torch import load_file

    weights = load_file(result.adapter_file)
    assert {w.dtype for w in weights.values()} == {torch.float32}
    has_lengths = any("lora_magnitude_vector" in name for name in weights)
    assert has_lengths == (changes.get("adapter") == "dora")


def test_gradient_checkpointing_changes_no_number(tiny_base, tmp_path):
    plain = train(tiny_base, tmp_path / "one", steps=1)
    frugal = train(tiny_base, tmp_path / "two", steps=1, has_gradient_checkpointing=True)
    assert frugal.curve[1].loss == pytest.approx(plain.curve[1].loss, rel=1e-6)


@pytest.mark.parametrize("room", [0, -1])
def test_weights_are_laid_out_anew_only_where_their_copy_is_small(tiny_base, monkeypatch, room):
    size = sum(p.numel() * 4 for p in tiny_base.family.denoiser.parameters())
    monkeypatch.setattr(setup, "CHANNELS_LAST_MAX", size + room)
    weight = tiny_base.family.denoiser.down_blocks[0].resnets[0].conv1.weight
    before = weight.data_ptr()
    undo = setup.speed_up(tiny_base.family, {}, MODELS)
    has_moved = weight.data_ptr() != before
    undo()
    assert has_moved == (room == 0)
    assert weight.is_contiguous()


def test_accumulation_is_the_larger_batch(tiny_base, tmp_path):
    """Two halves of a batch give its gradients: the mean of their losses, divided once."""
    settings = change(caption_dropout=0.0)
    parts = lora.attach(tiny_base, settings)
    try:
        weights = MasterWeights(lora.trainable_parameters(parts), torch.float32, 0.0)
        optimizer = AdapterOptimizer(weights, settings, "cpu")
        b = dict(zip(weights.names, weights.masters, strict=True))[
            next(iter(lora.b_norms(weights.final())))
        ]
        optimizer.backward((b * 2).sum() / 2)
        optimizer.backward((b * 6).sum() / 2)
        assert (b.grad == 4).all()
        assert len(weights.gradients()) == 1
        optimizer.step(1)  # Adam's first step has the size of the rate, here at its full height
        assert torch.allclose(b, torch.full_like(b, -1e-2), rtol=1e-3)
        assert weights.gradients() == []
    finally:
        lora.detach(parts)


@pytest.mark.parametrize("targets", ["all", "attention"])
def test_convolutions_are_adapted_where_all_is_asked_for(tiny_base, targets):
    parts = lora.attach(tiny_base, change(targets=targets))
    try:
        names = lora.trainable_parameters(parts)
        assert any(".attn1.to_q." in name for name in names)
        assert any(".conv1." in name for name in names) == (targets == "all")
    finally:
        lora.detach(parts)


def test_a_family_whose_text_encoder_cannot_be_trained_is_refused():
    base = SimpleNamespace(name="b", family=SimpleNamespace(name="flux", trainable_text=()))
    settings = change(trains_text_encoder=True)
    with pytest.raises(UserError, match=r"models\.trains_text_encoder: .* set it to false"):
        lora.attach(base, settings)


def test_the_noise_that_losses_are_measured_with_is_drawn_by_the_seed(tiny_base, tmp_path):
    """Nothing is learned yet, so that the pictures and the base are all that is the same."""
    losses = []
    for seed in (1, 2):
        result = train(tiny_base, tmp_path / str(seed), seed=seed, training_steps=1)
        losses.append(result.curve[0].held_out_loss)
    assert losses[0] != losses[1]


def test_gradient_that_is_no_number_moves_nothing(tiny_base):
    parts = lora.attach(tiny_base, MODELS)
    try:
        weights = MasterWeights(lora.trainable_parameters(parts), torch.float32, 0.0)
        optimizer = AdapterOptimizer(weights, MODELS, "cpu")
        before = weights.masters[0].detach().clone()
        optimizer.backward((weights.masters[0] * float("nan")).sum())
        assert not optimizer.step(1)
        assert torch.equal(weights.masters[0], before)
    finally:
        lora.detach(parts)


def test_text_encoder_has_its_own_rate(tiny_base):
    settings = change(trains_text_encoder=True)
    parts = lora.attach(tiny_base, settings)
    try:
        assert list(parts) == ["unet", "text_encoder"]
        weights = MasterWeights(lora.trainable_parameters(parts), torch.float32, 0.0)
        assert AdapterOptimizer(weights, settings, "cpu").rates == [
            1e-2,
            pytest.approx(1e-3),
        ]  # a tenth
        own = change(trains_text_encoder=True, text_learning_rate=5e-4)
        optimizer = AdapterOptimizer(weights, own, "cpu")
        assert optimizer.rates == [1e-2, 5e-4]
        sizes = [len(g["params"]) for g in optimizer.optimizer.param_groups]
        assert sizes[1] == sum(name.startswith("text_encoder.") for name in weights.names) > 0
    finally:
        lora.detach(parts)


def test_average_follows_the_weights_and_is_what_is_written():
    """Decay is (1 + n) / (10 + n) at first: 0, then 2/11, whatever higher one is set."""
    parameter = torch.nn.Parameter(torch.tensor([0.0]))
    weights = MasterWeights({"unet.lora_B.w": parameter}, torch.float32, 0.99)
    for value in (4.0, 15.0):
        with torch.no_grad():
            parameter.fill_(value)
        weights.moved()
    expected = 2 / 11 * 4 + 9 / 11 * 15
    assert weights.final()["unet.lora_B.w"].item() == pytest.approx(expected)
    with weights.shown():
        assert parameter.item() == pytest.approx(expected)
    assert parameter.item() == 15.0
    other = MasterWeights({"unet.lora_B.w": torch.nn.Parameter(torch.zeros(1))}, torch.float32, 0.9)
    other.load(weights.state())
    assert other.final()["unet.lora_B.w"].item() == pytest.approx(expected)
    assert other.masters[0].item() == 15.0


def test_masters_keep_what_sixteen_bits_would_lose():
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    weights = MasterWeights({"w": parameter}, torch.bfloat16, 0.0)
    for _ in range(4):  # each step is under half of bf16's grain at 1, 2**-8
        with torch.no_grad():
            weights.masters[0] += 2**-10
        weights.moved()
    assert weights.masters[0].item() == 1 + 2**-8
    assert parameter.dtype == torch.bfloat16
    with weights.shown(in_full=True):
        assert (parameter.dtype, parameter.item()) == (torch.float32, 1 + 2**-8)
    (parameter * 3).sum().backward()
    weights.take_gradients()
    assert weights.masters[0].grad.item() == 3
    assert parameter.grad is None


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_base_computes_in_the_precision_that_is_set(tiny_base, tmp_path, precision):
    seen = set()

    def look(_):
        seen.add(next(tiny_base.family.denoiser.parameters()).dtype)

    train(tiny_base, tmp_path, on_step=look, precision=precision, training_steps=1)
    assert seen == {training_base.dtype_of(precision, "cpu")}


def test_precision_is_chosen_by_the_device():
    assert (
        training_base.choose_precision("auto", "cpu") == "fp32"
    )  # most CPUs are slower in 16 bits
    assert training_base.choose_precision("bf16", "cpu") == "bf16"
    assert training_base.dtype_of("bf16", "cpu") == torch.bfloat16
    with pytest.raises(UserError, match="expected one of auto, fp32, bf16, fp16, got int8"):
        training_base.choose_precision("int8", "cpu")


def test_eight_bit_adam_asks_for_its_package(tiny_base, tmp_path):
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match="adamw8bit needs bitsandbytes"):
            train(tiny_base, tmp_path, optimizer="adamw8bit")
    else:
        assert train(tiny_base, tmp_path, optimizer="adamw8bit").num_zero == 0


def test_held_out_loss_that_gets_no_better_ends_the_run(tiny_base, tmp_path):
    """A rate that ruins the model: the first two checkpoints are worse than the start."""
    models = {"training_steps": 9, "checkpoint_every": 1, "patience": 2, "learning_rate": 0.5}
    result = train(tiny_base, tmp_path, **models)
    assert result.stopped_early
    last = result.curve[-1].step
    assert last < 9
    assert [k.step for k in result.kept] == list(range(1, last + 1))
    assert loss.should_stop_early(result.curve, 2) and not loss.should_stop_early(
        result.curve[:-1], 2
    )
    seen = []
    again = train(tiny_base, tmp_path, on_step=lambda s: seen.append(s.step), **models)
    assert seen == []  # and it stays ended
    assert again.adapter_hash == result.adapter_hash


def test_settings_that_had_nothing_to_work_on_are_told(tiny_base, tmp_path):
    result = train(tiny_base, tmp_path, held_out=[], patience=1, background_weight=0.5)
    assert result.remarks == (
        "models.patience had no effect: no picture is held out",
        "models.background_weight had no effect: no picture has a mask",
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"),
    ],
)
def test_too_little_memory_says_what_to_lower(error):
    settings = change(batch_size=8, gradient_accumulation=3)
    with (
        pytest.raises(training_settings.MemoryShortError) as told,
        trainer.explain_out_of_memory(settings),
    ):
        raise error
    text = str(told.value)
    assert "models.batch_size 8 -> 4 (and models.gradient_accumulation 3 -> 6" in text
    assert "models.has_gradient_checkpointing true" in text
    assert "models.resolution" in text
    assert "\n" not in text


def test_what_is_lowered_already_is_not_advised():
    lowest = {"batch_size": 1, "has_gradient_checkpointing": True, "precision": "bf16"}
    for trains_text, words in (
        (True, "models.trains_text_encoder false, or a smaller models.resolution"),
        (False, "a smaller models.resolution"),
    ):
        settings = change(**lowest, trains_text_encoder=trains_text)
        with (
            pytest.raises(training_settings.MemoryShortError) as told,
            trainer.explain_out_of_memory(settings),
        ):
            raise MemoryError
        assert str(told.value) == f"fine-tuning ran out of memory; set {words}"


def test_text_encoders_that_are_trained_stay_on_the_device():
    """Parameters of the device `meta` have no values, so that moving them away is an error."""

    def family(first, second):
        net = {
            name: torch.nn.Linear(1, 1, device=at)
            for name, at in (("one", first), ("two", second), ("vae", "cpu"))
        }
        text = {"text_encoder": net["one"], "text_encoder_3": net["two"]}
        return SimpleNamespace(
            device="meta", trainable_text=("text_encoder",), text_encoders=text, vae=net["vae"]
        )

    trained = change(trains_text_encoder=True)
    kept = family("meta", "cpu")
    setup.move_encoders_off(kept, trained)
    assert kept.text_encoders["text_encoder"].weight.is_meta
    for parts, settings in ((family("cpu", "meta"), trained), (family("meta", "cpu"), MODELS)):
        with pytest.raises(NotImplementedError, match="meta tensor"):
            setup.move_encoders_off(parts, settings)


def test_real_allocation_that_fails_is_told(tiny_base, tmp_path):
    """Not a made-up error: torch is asked for more than any machine has."""
    with pytest.raises(training_settings.MemoryShortError), trainer.explain_out_of_memory(MODELS):
        torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_pass_as_they_are():
    with pytest.raises(RuntimeError, match="a bug"), trainer.explain_out_of_memory(MODELS):
        raise RuntimeError("a bug")


def test_class_pictures_are_drawn_once_and_again_only_where_missing(tiny_base, tmp_path):
    words = CaptionWords(trigger="bunny", class_word="animal")
    texts = class_image.prompts(["bunny animal, day", "bunny animal, night", "bunny, day"], words)
    assert texts == ["animal, day", "animal, night"]
    assert class_image.common_size([p.picture for p in TRAIN]) == (32, 32)
    first = class_image.draw(tiny_base, texts, tmp_path, (32, 32), 3, seed=9)
    assert [e.caption for e in first] == ["animal, day", "animal, night", "animal, day"]
    assert {e.role for e in first} == {image_folder.CLASS}
    files = sorted((tmp_path / "class").rglob("*.png"))
    assert len(files) == 3
    bytes_before = [f.read_bytes() for f in files]
    files[1].unlink()
    again = class_image.draw(tiny_base, texts, tmp_path, (32, 32), 3, seed=9)
    assert [f.read_bytes() for f in files] == bytes_before
    assert all((a.picture == b.picture).all() for a, b in zip(first, again, strict=True))


def test_is_over_counts_from_the_best():
    def curve(values):
        return [
            Step(step=i, loss=None, held_out_loss=v, learning_rate=0.0)
            for i, v in enumerate(values)
        ]

    assert not loss.should_stop_early(curve([1.0, 0.9]), 2)
    assert loss.should_stop_early(curve([1.0, 0.9, 0.9, 0.95]), 2)
    assert not loss.should_stop_early(curve([1.0, 0.9, 0.95, 0.89]), 2)
    assert not loss.should_stop_early(curve([1.0, 2.0, 3.0]), 0)
