"""Layers: what they change, from and to peft, joined as the original models have them."""

from types import SimpleNamespace

import pytest

from bunny.core.error import UserError
from bunny.training.adapter_file import fused_layer, kohya, layer, metadata
from bunny.training.adapter_file.layer import LoraLayer


def config(alpha=2, **options):
    """The settings that matter of a LoraConfig."""
    return SimpleNamespace(lora_alpha=alpha, alpha_pattern={}, use_rslora=False, **options)


def made(rank=2, out=4, width=3, seed=0, alpha=1.0, is_dora=False, kernel=()):
    """A layer with random weights."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    ones = (1,) * len(kernel)
    return LoraLayer(
        down=torch.randn(rank, width, *kernel, generator=generator),
        up=torch.randn(out, rank, *ones, generator=generator),
        alpha=alpha,
        magnitude=torch.rand(out, generator=generator) + 0.5 if is_dora else None,
    )


def test_delta_by_hand():
    import torch

    one = LoraLayer(down=torch.tensor([[1.0, 2.0]]), up=torch.tensor([[3.0], [4.0]]), alpha=0.5)
    assert layer.delta(one).tolist() == [[1.5, 3.0], [2.0, 4.0]]
    convolution = LoraLayer(
        down=torch.ones(2, 1, 3, 3), up=torch.tensor([[[[1.0]], [[2.0]]]]), alpha=2.0
    )
    assert layer.delta(convolution).shape == (1, 1, 3, 3)
    assert bool((layer.delta(convolution) == 3.0).all())


def test_dora_gives_each_output_its_length():
    import torch

    one = LoraLayer(
        down=torch.tensor([[0.0, 4.0]]),
        up=torch.tensor([[1.0], [0.0]]),
        alpha=1.0,
        magnitude=torch.tensor([10.0, 2.0]),
    )
    weight = torch.tensor([[3.0, 0.0], [0.0, 5.0]])
    lengths = layer.row_length(weight + layer.delta(one))
    assert lengths.tolist() == [5.0, 5.0]  # 3-4-5
    changed = (weight + layer.delta(one)) * (one.magnitude / lengths)[:, None]
    assert changed.tolist() == [[6.0, 8.0], [0.0, 2.0]]  # 3-4-5 made 10 long


def test_from_peft_reads_alpha_by_pattern_and_rslora():
    import torch

    state = {}
    for own, rank in (("a.to_q", 4), ("b.to_q", 4)):
        state |= {f"{own}.lora_A.weight": torch.ones(rank, 2)}
        state |= {f"{own}.lora_B.weight": torch.ones(3, rank)}
    said = config(alpha=2)
    said.alpha_pattern = {"^a.to_q": 8}
    found = layer.from_peft(state, said)
    assert (found["a.to_q"].alpha, found["b.to_q"].alpha) == (8.0, 2.0)
    said.alpha_pattern = {"b.*": 6}  # a pattern in peft's sense
    assert layer.from_peft(state, said)["b.to_q"].alpha == 6.0
    said.use_rslora, said.alpha_pattern = True, {}
    assert layer.from_peft(state, said)["a.to_q"].scale == 2 / 4**0.5
    assert layer.from_peft(state, None)["a.to_q"].alpha == 4.0


def test_to_peft_puts_the_scale_into_the_weights():
    one = made(rank=3, alpha=5.0)
    state = layer.to_peft({"x": one})
    again = layer.from_peft(state, None)["x"]
    assert again.scale == 1.0
    assert float((layer.delta(again) - layer.delta(one)).abs().max()) < 1e-6
    half = LoraLayer(down=one.down[:2].half(), up=one.up[:, :2].half(), alpha=1.0)
    assert str(layer.to_peft({"x": half})["x.lora_B.weight"].dtype) == "torch.float16"


def test_what_is_no_lora_is_refused():
    state = layer.to_peft({"x": made()})
    with pytest.raises(UserError, match=r"found x\.lora_B\.bias"):
        layer.from_peft({**state, "x.lora_B.bias": state["x.lora_B.weight"]}, None)
    del state["x.lora_B.weight"]
    with pytest.raises(UserError, match=r"x\.lora_B\.weight is missing"):
        layer.from_peft(state, None)


def test_weights_that_are_no_numbers_are_refused():
    bad = made()
    bad.up[1, 1] = float("nan")
    with pytest.raises(UserError, match=r"numbers in unet\.x, found NaN"):
        layer.check_finite({"unet": {"x": bad}})
    layer.check_finite({"unet": {"x": made(), "y": made(is_dora=True)}})


@pytest.mark.parametrize("end", ["", ".weight"])
def test_from_peft_without_settings_takes_the_rank_and_both_names_of_lengths(end):
    one = made(rank=2, width=3, is_dora=True)
    state = {"base_model.model.x.lora_A.weight": one.down, "x.lora_B.weight": one.up}
    (found,) = layer.from_peft(
        {**state, f"x.lora_magnitude_vector{end}": one.magnitude}, None
    ).items()
    assert found[0] == "x" and found[1].alpha == 2.0
    assert found[1].magnitude.tolist() == one.magnitude.tolist()


def test_diffusers_names_by_component():
    """Lengths of a text encoder end in `.weight`, the others do not."""
    parts = {"unet": {"b": made(is_dora=True)}, "text_encoder": {"a": made(is_dora=True)}}
    tensors = layer.to_diffusers(parts)
    assert list(tensors) == [
        "text_encoder.a.lora_A.weight",
        "text_encoder.a.lora_B.weight",
        "text_encoder.a.lora_magnitude_vector.weight",
        "unet.b.lora_A.weight",
        "unet.b.lora_B.weight",
        "unet.b.lora_magnitude_vector",
    ]
    half = parts["unet"]["b"].up / 2  # alpha 1 of rank 2
    assert tensors["unet.b.lora_B.weight"].tolist() == half.tolist()


@pytest.mark.parametrize("alphas", [(1.0, 1.0, 1.0), (1.0, 3.0, 0.5)])
@pytest.mark.parametrize("is_dora", [False, True])
def test_joined_and_parted_parts_change_the_same(alphas, is_dora):
    import torch

    words = ("to_q", "to_k", "to_v")
    own = {
        f"transformer_blocks.0.attn.{w}": made(seed=i, alpha=a, is_dora=is_dora)
        for i, (w, a) in enumerate(zip(words, alphas, strict=True))
    }
    joined = fused_layer.join(own, "sd3")
    (place,) = joined
    assert place == "joint_blocks.0.x_block.attn.qkv" and joined[place].rank == 6
    stacked = torch.cat([layer.delta(part) for part in own.values()])
    assert float((layer.delta(joined[place]) - stacked).abs().max()) < 1e-6
    parted = fused_layer.split(joined, "sd3")
    assert set(parted) == set(own)
    for key, part in own.items():
        assert parted[key].rank == 2
        assert float((layer.delta(parted[key]) - layer.delta(part)).abs().max()) < 1e-6
        assert not is_dora or bool((parted[key].magnitude == part.magnitude).all())


def test_parts_that_are_not_adapted_change_nothing_and_do_not_come_back():
    own = {
        "single_transformer_blocks.1.attn.to_k": made(out=3),
        "single_transformer_blocks.1.proj_out": made(out=3, width=15),
    }
    joined = fused_layer.join(own, "flux")
    change = layer.delta(joined["single_blocks.1.linear1"])
    assert change.shape == (3 * 3 + 4 * 3, 3)
    assert not change[:3].any() and change[3:6].any() and not change[6:].any()
    assert set(fused_layer.split(joined, "flux")) == set(own)


@pytest.mark.parametrize("rank", [3, 4])
def test_layer_trained_as_one_is_parted_by_rows(rank):
    """A rank that is no multiple of three, or one that is, with weights outside of the blocks."""
    import torch

    whole = made(rank=rank, out=9, width=3)
    parted = fused_layer.split({"double_blocks.0.txt_attn.qkv": whole}, "flux")
    words = [f"transformer_blocks.0.attn.add_{w}_proj" for w in "qkv"]
    stacked = torch.cat([layer.delta(parted[w]) for w in words])
    assert float((stacked - layer.delta(whole)).abs().max()) < 1e-6


def test_what_cannot_be_joined_is_refused():
    with pytest.raises(UserError, match=r"norm_out\.linear has no name in the original model"):
        fused_layer.join({"norm_out.linear": made()}, "flux")
    with pytest.raises(UserError, match=r"found 1 of 3"):
        fused_layer.join({"transformer_blocks.0.attn.to_q": made(is_dora=True)}, "flux")


def test_kohya_tensors_by_definition():
    import torch

    one, convolution = made(alpha=0.5), made(kernel=(3, 3), is_dora=True)
    parts = {"unet": {"mid_block.resnets.0.conv1": convolution}, "text_encoder": {}}
    parts["text_encoder"]["text_model.encoder.layers.0.mlp.fc1"] = one
    tensors = kohya.to_kohya(parts, "sd")
    stem = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    assert torch.equal(tensors[f"{stem}.lora_down.weight"], one.down)
    assert torch.equal(tensors[f"{stem}.lora_up.weight"], one.up)
    assert float(tensors[f"{stem}.alpha"]) == 0.5 and tensors[f"{stem}.alpha"].shape == ()
    stem = "lora_unet_mid_block_resnets_0_conv1"
    assert tensors[f"{stem}.lora_down.weight"].shape == (2, 3, 3, 3)
    assert tensors[f"{stem}.lora_up.weight"].shape == (4, 2, 1, 1)
    assert tensors[f"{stem}.dora_scale"].shape == (4, 1, 1, 1)
    assert kohya.is_kohya(tensors) and len(tensors) == 7


def test_kohya_tensors_that_cannot_be_read_are_refused():
    tensors = kohya.to_kohya({"unet": {"conv_in": made(is_dora=True)}}, "sd")
    for extra, reason in [
        ("lora_unet_conv_in.hada_w1_a", "other kinds"),
        ("lora_prior_x.lora_down.weight", "found lora_prior_x"),
        ("lora_unet_conv_out.lora_up.weight", "lora_unet_conv_out is incomplete"),
    ]:
        with pytest.raises(UserError, match=reason):
            kohya.from_kohya({**tensors, extra: tensors["lora_unet_conv_in.alpha"]})
    over_inputs = tensors["lora_unet_conv_in.dora_scale"].reshape(1, -1)
    with pytest.raises(UserError, match="one magnitude per output"):
        kohya.from_kohya({**tensors, "lora_unet_conv_in.dora_scale": over_inputs})
    with pytest.raises(UserError, match="found text_encoder_3"):
        kohya.to_kohya({"text_encoder_3": {"x": made()}}, "sd3")
    with pytest.raises(UserError, match="needs the base model's unet"):
        kohya.to_kohya({"unet": {"conv_in": made(is_dora=True)}}, "sd", is_comfy=True)


def test_texts_say_what_tools_look_for():
    parts = {"unet": {f"a{i}.attn2.to_k": made(alpha=4.0, width=1024) for i in range(3)}}
    parts["unet"]["b.conv1"] = made(rank=1, alpha=1.0, kernel=(3, 3))
    given = {
        "trigger": "bun",
        "subject": "bun character",
        "base_model": "owner/base",
        "prediction_type": "v_prediction",
        "rights_film": "A, CC0-1.0",
        "sample_prompts": ["bun in snow"],
        "missing": None,
    }
    own = metadata.own_texts(parts, "sd", given)
    assert (own["rank"], own["alpha"], own["adapter"], own["family"]) == ("2", "4", "lora", "sd")
    assert own["sample_prompts"] == '["bun in snow"]' and "missing" not in own
    said = metadata.kohya_texts(parts, "sd", own, ["bun character, snow", "bun character"])
    expected = {
        "ss_network_dim": "2",
        "ss_network_alpha": "4",
        "ss_network_module": "networks.lora",
        "ss_network_args": '{"conv_dim": "1", "conv_alpha": "1.0"}',
        "ss_base_model_version": "sd_v2_v",
        "ss_v2": "True",
        "ss_tag_frequency": '{"bun character": {"bun character": 2, "snow": 1}}',
        "modelspec.architecture": "stable-diffusion-v2-768-v/lora",
        "modelspec.trigger_phrase": "bun",
        "modelspec.license": "film: A, CC0-1.0",
        "modelspec.prediction_type": "v",
    }
    assert {key: said[key] for key in expected} == expected
