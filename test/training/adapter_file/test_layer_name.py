"""Where each layer of SD3 and Flux lies in the original model; facts of those models' files."""

import pytest

from bunny.core.error import UserError
from bunny.training.adapter_file import fused_layer, kohya, read, safetensors_file
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


def _layer(out=3, width=3, alpha=1.0):
    import torch

    return LoraLayer(down=torch.ones(1, width), up=torch.ones(out, 1), alpha=alpha)


@pytest.mark.parametrize("family", WHOLE)
def test_layers_that_are_one_in_both(family):
    for own, original in WHOLE[family].items():
        layer = _layer()
        assert fused_layer.join({own: layer}, family) == {original: layer}
        assert fused_layer.split({original: layer}, family) == {own: layer}


@pytest.mark.parametrize("family", JOINED)
def test_the_parts_of_joined_layers_lie_in_their_order(family):
    """Each part alone changes its own rows; the MLP of a single block has four times as many."""
    for original, words in JOINED[family].items():
        sizes = [3, 3, 3, 12][: len(words)]
        for index, own in enumerate(words):
            joined = fused_layer.join({own: _layer(sizes[index])}, family)
            assert list(joined) == [original]
            rows = (joined[original].up @ joined[original].down).abs().sum(1) > 0
            assert rows.tolist() == [i == index for i, n in enumerate(sizes) for _ in range(n)]
            assert joined[original].rank == len(words) and joined[original].scale == 1.0
            (back,) = fused_layer.split(joined, family)
            assert back == own


def test_what_is_no_layer_of_the_original_stays_or_is_refused():
    layer = _layer()
    assert fused_layer.split({"transformer_blocks.0.attn.to_q": layer}, "flux") == {
        "transformer_blocks.0.attn.to_q": layer
    }
    with pytest.raises(UserError, match=r"double_blocks\.0\.img_attn\.norm has no name"):
        fused_layer.split({"double_blocks.0.img_attn.norm": layer}, "flux")
    for own in ("single_transformer_blocks.0.ff.net.2", "context_embedder", "blocks.0.attn.to_q"):
        with pytest.raises(UserError, match=own.replace(".", r"\.") + " has no name"):
            fused_layer.join({own: layer}, "flux")


def test_parts_of_different_strength_keep_it():
    """Scales of 1 and 0.5: the joined layer has a scale of 1 and the matrices carry the rest."""
    words = [f"transformer_blocks.0.{w}" for w in Q]
    layers = dict(zip(words, (_layer(), _layer(alpha=0.5), _layer()), strict=True))
    ((_, joined),) = fused_layer.join(layers, "flux").items()
    assert joined.scale == 1.0
    assert (joined.up @ joined.down)[:, 0].tolist() == [1] * 3 + [0.5] * 3 + [1] * 3
    same = {word: _layer(alpha=0.5) for word in words}
    ((_, joined),) = fused_layer.join(same, "flux").items()
    assert joined.scale == 0.5 and joined.alpha == 1.5


def test_joined_parts_of_half_precision_stay_so():
    import torch

    half = LoraLayer(down=torch.ones(1, 3).half(), up=torch.ones(3, 1).half(), alpha=1.0)
    ((_, joined),) = fused_layer.join({"transformer_blocks.0.attn.to_q": half}, "sd3").items()
    assert joined.down.dtype == joined.up.dtype == torch.float16


@pytest.mark.parametrize(
    ("family", "component", "own", "stem"),
    [
        ("sd", "unet", "conv_in", "lora_unet_conv_in"),
        ("sd", "text_encoder", "text_model.a.q_proj", "lora_te_text_model_a_q_proj"),
        ("sdxl", "text_encoder", "text_model.a.q_proj", "lora_te1_text_model_a_q_proj"),
        ("sdxl", "text_encoder_2", "text_model.a.q_proj", "lora_te2_text_model_a_q_proj"),
        ("sdxl", "unet", "conv_in", "lora_unet_input_blocks_0_0"),
        ("sdxl", "unet", "down_blocks.1.attentions.0.proj_in",
         "lora_unet_input_blocks_4_1_proj_in"),
        ("flux", "transformer", "transformer_blocks.0.ff.net.2",
         "lora_unet_double_blocks_0_img_mlp_2"),
        ("sd3", "transformer", "transformer_blocks.0.ff.net.2",
         "lora_unet_joint_blocks_0_x_block_mlp_fc2"),
    ],
)  # fmt: skip
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
