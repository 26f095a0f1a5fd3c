"""Layers: what they change, from and to peft, joined as the original models have them."""

from types import SimpleNamespace

import pytest

from bunny.core.error import UserError
from bunny.training.adapter_file import kohya, layer, read, safetensors_file
from bunny.training.adapter_file.layer import LoraLayer

WHOLE = {
    "flux": {
        "transformer_blocks.3.attn.to_out.0": "double_blocks.3.img_attn.proj",
        "transformer_blocks.3.attn.to_add_out": "double_blocks.3.txt_attn.proj",
        "transformer_blocks.3.ff.net.0.proj": "double_blocks.3.img_mlp.0",
        "transformer_blocks.3.ff.net.2": "double_blocks.3.img_mlp.2",
        "transformer_blocks.3.ff_context.net.0.proj": "double_blocks.3.txt_mlp.0",
        "transformer_blocks.3.ff_context.net.2": "double_blocks.3.txt_mlp.2",
        "transformer_blocks.3.norm1.linear": "double_blocks.3.img_mod.lin",
        "transformer_blocks.3.norm1_context.linear": "double_blocks.3.txt_mod.lin",
        "single_transformer_blocks.3.proj_out": "single_blocks.3.linear2",
        "single_transformer_blocks.3.norm.linear": "single_blocks.3.modulation.lin",
    },
    "sd3": {
        "transformer_blocks.3.attn.to_out.0": "joint_blocks.3.x_block.attn.proj",
        "transformer_blocks.3.attn2.to_out.0": "joint_blocks.3.x_block.attn2.proj",
        "transformer_blocks.3.attn.to_add_out": "joint_blocks.3.context_block.attn.proj",
        "transformer_blocks.3.ff.net.0.proj": "joint_blocks.3.x_block.mlp.fc1",
        "transformer_blocks.3.ff.net.2": "joint_blocks.3.x_block.mlp.fc2",
        "transformer_blocks.3.ff_context.net.0.proj": "joint_blocks.3.context_block.mlp.fc1",
        "transformer_blocks.3.ff_context.net.2": "joint_blocks.3.context_block.mlp.fc2",
    },
}
Q, ADDED = ("attn.to_q", "attn.to_k", "attn.to_v"), ("add_q_proj", "add_k_proj", "add_v_proj")
JOINED = {
    "flux": {
        "double_blocks.0.img_attn.qkv": [f"transformer_blocks.0.{w}" for w in Q],
        "double_blocks.0.txt_attn.qkv": [f"transformer_blocks.0.attn.{w}" for w in ADDED],
        "single_blocks.0.linear1": [
            *(f"single_transformer_blocks.0.{w}" for w in Q),
            "single_transformer_blocks.0.proj_mlp",
        ],
    },
    "sd3": {
        "joint_blocks.0.x_block.attn.qkv": [f"transformer_blocks.0.{w}" for w in Q],
        "joint_blocks.0.x_block.attn2.qkv": [
            f"transformer_blocks.0.{w.replace('attn', 'attn2')}" for w in Q
        ],
        "joint_blocks.0.context_block.attn.qkv": [f"transformer_blocks.0.attn.{w}" for w in ADDED],
    },
}


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
    joined = kohya.join(own, "sd3")
    (place,) = joined
    assert place == "joint_blocks.0.x_block.attn.qkv" and joined[place].rank == 6
    stacked = torch.cat([layer.delta(part) for part in own.values()])
    assert float((layer.delta(joined[place]) - stacked).abs().max()) < 1e-6
    parted = kohya.split(joined, "sd3")
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
    joined = kohya.join(own, "flux")
    change = layer.delta(joined["single_blocks.1.linear1"])
    assert change.shape == (3 * 3 + 4 * 3, 3)
    assert not change[:3].any() and change[3:6].any() and not change[6:].any()
    assert set(kohya.split(joined, "flux")) == set(own)


@pytest.mark.parametrize("rank", [3, 4])
def test_layer_trained_as_one_is_parted_by_rows(rank):
    """A rank that is no multiple of three, or one that is, with weights outside of the blocks."""
    import torch

    whole = made(rank=rank, out=9, width=3)
    parted = kohya.split({"double_blocks.0.txt_attn.qkv": whole}, "flux")
    words = [f"transformer_blocks.0.attn.add_{w}_proj" for w in "qkv"]
    stacked = torch.cat([layer.delta(parted[w]) for w in words])
    assert float((stacked - layer.delta(whole)).abs().max()) < 1e-6


def test_what_cannot_be_joined_is_refused():
    with pytest.raises(UserError, match=r"norm_out\.linear has no name in the original model"):
        kohya.join({"norm_out.linear": made()}, "flux")
    with pytest.raises(UserError, match=r"found 1 of 3"):
        kohya.join({"transformer_blocks.0.attn.to_q": made(is_dora=True)}, "flux")


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
    own = safetensors_file.own_texts(parts, "sd", given)
    assert (own["rank"], own["alpha"], own["adapter"], own["family"]) == ("2", "4", "lora", "sd")
    assert own["sample_prompts"] == '["bun in snow"]' and "missing" not in own
    said = safetensors_file.kohya_texts(parts, "sd", own, ["bun character, snow", "bun character"])
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


def _layer(out=3, width=3, alpha=1.0):
    import torch

    return LoraLayer(down=torch.ones(1, width), up=torch.ones(out, 1), alpha=alpha)


@pytest.mark.parametrize("family", WHOLE)
def test_layers_that_are_one_in_both(family):
    for own, original in WHOLE[family].items():
        layer = _layer()
        assert kohya.join({own: layer}, family) == {original: layer}
        assert kohya.split({original: layer}, family) == {own: layer}


@pytest.mark.parametrize("family", JOINED)
def test_the_parts_of_joined_layers_lie_in_their_order(family):
    """Each part alone changes its own rows; the MLP of a single block has four times as many."""
    for original, words in JOINED[family].items():
        sizes = [3, 3, 3, 12][: len(words)]
        for index, own in enumerate(words):
            joined = kohya.join({own: _layer(sizes[index])}, family)
            assert list(joined) == [original]
            rows = (joined[original].up @ joined[original].down).abs().sum(1) > 0
            assert rows.tolist() == [i == index for i, n in enumerate(sizes) for _ in range(n)]
            assert joined[original].rank == len(words) and joined[original].scale == 1.0
            (back,) = kohya.split(joined, family)
            assert back == own


def test_what_is_no_layer_of_the_original_stays_or_is_refused():
    layer = _layer()
    assert kohya.split({"transformer_blocks.0.attn.to_q": layer}, "flux") == {
        "transformer_blocks.0.attn.to_q": layer
    }
    with pytest.raises(UserError, match=r"double_blocks\.0\.img_attn\.norm has no name"):
        kohya.split({"double_blocks.0.img_attn.norm": layer}, "flux")
    for own in ("single_transformer_blocks.0.ff.net.2", "context_embedder", "blocks.0.attn.to_q"):
        with pytest.raises(UserError, match=own.replace(".", r"\.") + " has no name"):
            kohya.join({own: layer}, "flux")


def test_parts_of_different_strength_keep_it():
    """Scales of 1 and 0.5: the joined layer has a scale of 1 and the matrices carry the rest."""
    words = [f"transformer_blocks.0.{w}" for w in Q]
    layers = dict(zip(words, (_layer(), _layer(alpha=0.5), _layer()), strict=True))
    ((_, joined),) = kohya.join(layers, "flux").items()
    assert joined.scale == 1.0
    assert (joined.up @ joined.down)[:, 0].tolist() == [1] * 3 + [0.5] * 3 + [1] * 3
    same = {word: _layer(alpha=0.5) for word in words}
    ((_, joined),) = kohya.join(same, "flux").items()
    assert joined.scale == 0.5 and joined.alpha == 1.5


def test_joined_parts_of_half_precision_stay_so():
    import torch

    half = LoraLayer(down=torch.ones(1, 3).half(), up=torch.ones(3, 1).half(), alpha=1.0)
    ((_, joined),) = kohya.join({"transformer_blocks.0.attn.to_q": half}, "sd3").items()
    assert joined.down.dtype == joined.up.dtype == torch.float16


@pytest.mark.parametrize(
    ("family", "component", "own", "stem"),
    [
        ("sd", "unet", "conv_in", "lora_unet_conv_in"),
        ("sd", "text_encoder", "text_model.a.q_proj", "lora_te_text_model_a_q_proj"),
        ("sdxl", "text_encoder", "text_model.a.q_proj", "lora_te1_text_model_a_q_proj"),
        ("sdxl", "text_encoder_2", "text_model.a.q_proj", "lora_te2_text_model_a_q_proj"),
        ("sdxl", "unet", "conv_in", "lora_unet_input_blocks_0_0"),
        (
            "sdxl",
            "unet",
            "down_blocks.1.attentions.0.proj_in",
            "lora_unet_input_blocks_4_1_proj_in",
        ),
        (
            "flux",
            "transformer",
            "transformer_blocks.0.ff.net.2",
            "lora_unet_double_blocks_0_img_mlp_2",
        ),
        (
            "sd3",
            "transformer",
            "transformer_blocks.0.ff.net.2",
            "lora_unet_joint_blocks_0_x_block_mlp_fc2",
        ),
    ],
)
def test_kohyas_names(family, component, own, stem):
    tensors = kohya.to_kohya({component: {own: _layer(alpha=0.5)}}, family)
    assert set(tensors) == {f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"}
    assert float(tensors[f"{stem}.alpha"]) == 0.5 and kohya.is_kohya(tensors)
    found = kohya.from_kohya(tensors)
    assert {key: list(layers) for key, layers in found.items()} == {component: [own]}
    assert found[component][own].alpha == 0.5
    assert found[component][own].down.tolist() == [[1.0] * 3]
    assert found[component][own].up.tolist() == [[1.0]] * 3
    del tensors[f"{stem}.alpha"]
    assert kohya.from_kohya(tensors)[component][own].alpha == 1.0  # the rank


def test_comfys_names_of_a_transformer():
    own = "transformer_blocks.0.attn.to_q"
    tensors = kohya.to_kohya({"transformer": {own: _layer()}}, "flux", is_comfy=True)
    stem = "lora_transformer_transformer_blocks_0_attn_to_q"
    assert f"{stem}.lora_up.weight" in tensors
    assert list(kohya.from_kohya(tensors)["transformer"]) == [own]


def test_what_is_not_kohyas():
    assert not kohya.is_kohya(["unet.x.lora_A.weight", "lora_unet_x.alpha", "x.lora_down.weight"])
    with pytest.raises(UserError, match="found vae, which no other tool"):
        kohya.to_kohya({"vae": {"x": _layer()}}, "sd")


def test_names_that_older_diffusers_wrote(tmp_path):
    import torch

    attention = "unet.mid_block.attentions.0.transformer_blocks.0.attn1"
    text = "text_encoder.text_model.encoder.layers.0"
    old = (
        f"{attention}.processor.to_q_lora",
        f"{attention}.processor.to_out_lora",
        "unet.mid_block.attentions.0.proj_in.lora",
        f"{text}.mlp.fc1.lora_linear_layer",
        f"{text}.self_attn.q_proj.lora_linear_layer",
    )
    tensors = {f"{name}.down.weight": torch.ones(1, 3) for name in old}
    tensors |= {f"{name}.up.weight": torch.full((2, 1), 5.0) for name in old}
    path = tmp_path / "old.safetensors"
    safetensors_file.write_file(path, tensors, {})
    parts = read.read(path).parts
    assert sorted(f"{part}.{own}" for part, layers in parts.items() for own in layers) == sorted(
        [
            f"{attention}.to_q",
            f"{attention}.to_out.0",
            "unet.mid_block.attentions.0.proj_in",
            f"{text}.mlp.fc1",
            f"{text}.self_attn.q_proj",
        ]
    )
    one = parts["unet"][f"{attention.removeprefix('unet.')}.to_q"]
    assert (one.down.tolist(), one.up.tolist(), one.alpha) == ([[1.0] * 3], [[5.0]] * 2, 1.0)
