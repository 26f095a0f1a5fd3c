"""Each family's adapters, read back by code not ours: diffusers, and kohya's definition."""

import copy
import warnings

import pytest

from bunny.core.error import UserError
from bunny.training.adapter_file import kohya, layer, read, safetensors_file, write

UNET = [
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "conv1",
    "conv2",
    "conv_shortcut",
    "proj_in",
    "proj_out",
    "ff.net.0.proj",
    "ff.net.2",
    "time_emb_proj",
    "downsamplers.0.conv",
    "upsamplers.0.conv",
    "conv_in",
    "conv_out",
]
TRANSFORMER = [
    "attn.to_q",
    "attn.to_k",
    "attn.to_v",
    "to_out.0",
    "add_q_proj",
    "add_k_proj",
    "add_v_proj",
    "to_add_out",
    "ff.net.0.proj",
    "ff.net.2",
    "ff_context.net.0.proj",
    "proj_mlp",
]
TEXT = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]

COMPONENTS = {
    "sd": ("unet", "text_encoder"),
    "sdxl": ("unet", "text_encoder", "text_encoder_2"),
    "sd3": ("transformer", "text_encoder", "text_encoder_2"),
    "flux": ("transformer", "text_encoder"),
}
FAMILIES = list(COMPONENTS)
CASES = [(family, is_dora) for family in FAMILIES for is_dora in (False, True)]


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    """A tiny pipeline of each family, made once."""
    import diffusers
    import transformers
    from toy import tiny_model

    for library in (diffusers, transformers):
        library.logging.set_verbosity_error()
        library.logging.disable_progress_bar()
    made = {}

    def load(family: str):
        if family not in made:
            folder = tmp_path_factory.mktemp(family)
            tiny_model.save(folder, family)
            made[family] = diffusers.DiffusionPipeline.from_pretrained(folder)
        return made[family]

    return load


def targets_of(component: str) -> list[str]:
    return {"unet": UNET, "transformer": TRANSFORMER}.get(component, TEXT)


def train(pipeline, family: str, *, is_dora: bool, rank: int, alpha: int):
    """States of random adapters on every component, and the weights that peft makes of them."""
    import torch
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(1)
    states, expected = {}, {}
    for component in COMPONENTS[family]:
        module = getattr(pipeline, component)
        targets = targets_of(component)
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, use_dora=is_dora)
        module.add_adapter(config)
        for own, weight in module.named_parameters():
            if "magnitude" in own:
                weight.data *= 1 + 0.1 * torch.rand_like(weight)
            elif "lora_" in own:
                weight.data = 0.2 * torch.randn_like(weight)
        own_state = get_peft_model_state_dict(module)
        states[component] = ({n: w.detach().clone() for n, w in own_state.items()}, config)
        expected[component] = merged_by_peft(module)
    pipeline.unload_lora_weights()
    return states, expected


def merged_by_peft(module) -> dict:
    """Weights with the adapter in them, by peft's own arithmetic."""
    from peft.tuners.lora import LoraLayer

    merged = {}
    for own, part in module.named_modules():
        if isinstance(part, LoraLayer):
            part = copy.deepcopy(part)
            part.merge()
            merged[own] = part.base_layer.weight.detach()
    return merged


def difference(one: dict, other: dict) -> float:
    """Largest difference of weights of the same names."""
    assert set(one) == set(other)
    return max(float((one[key] - other[key]).abs().max()) for key in one)


def loaded_by_diffusers(pipeline, path, family: str) -> dict:
    """What `load_lora_weights` makes of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline.load_lora_weights(path)
    try:
        return {c: merged_by_peft(getattr(pipeline, c)) for c in COMPONENTS[family]}
    finally:
        pipeline.unload_lora_weights()


def merged(weight, one):
    """The weight with a layer in it; DoRA: Liu et al. 2024, eq. 5, one length an output."""
    changed = weight.float() + layer.delta(one)
    if one.magnitude is None:
        return changed
    length = one.magnitude.float().flatten() / layer.row_length(changed)
    return changed * length.reshape(-1, *[1] * (weight.ndim - 1))


def write_kohya(path, states, family: str, *, form: str = "kohya", **options) -> str:
    """Write states of peft in kohya's names."""
    layers = write.layers_of_states(states)
    return write.write_parts(path, layers, family, {}, write.AdapterForm(name=form, **options))


def shape_of(pipeline, family: str):
    return layer.shape_of(pipeline.unet.config) if family == "sdxl" else None


def clean(pipeline, family: str) -> dict:
    return {component: getattr(pipeline, component) for component in COMPONENTS[family]}


@pytest.mark.parametrize(("family", "is_dora"), CASES)
def test_diffusers_loads_its_own_form(pipelines, tmp_path, family, is_dora):
    pipeline, path = pipelines(family), tmp_path / "x.safetensors"
    states, expected = train(pipeline, family, is_dora=is_dora, rank=3, alpha=5)
    digest = write.write_diffusers(path, states, family, {"trigger": "bun"})
    assert digest == write.write_diffusers(
        tmp_path / "y.safetensors", states, family, {"trigger": "bun"}
    )
    found = loaded_by_diffusers(pipeline, path, family)
    for component in COMPONENTS[family]:
        assert difference(found[component], expected[component]) < 1e-6
    adapter = read.read(path)
    assert (adapter.kind, adapter.family, adapter.rank) == ("diffusers", family, 3)
    assert adapter.is_dora == is_dora and adapter.components == tuple(sorted(COMPONENTS[family]))
    read.check_fits(adapter, clean(pipeline, family))


@pytest.mark.parametrize(("family", "is_dora"), CASES)
def test_kohyas_form_is_read_and_changes_the_same(pipelines, tmp_path, family, is_dora):
    pipeline, path = pipelines(family), tmp_path / "k.safetensors"
    states, expected = train(pipeline, family, is_dora=is_dora, rank=4, alpha=2)
    shape = shape_of(pipeline, family)
    write_kohya(path, states, family, shape=shape)
    adapter = read.read(path, shape=shape)
    assert (adapter.kind, adapter.is_dora, adapter.alpha) == ("kohya", is_dora, 2.0)
    back = write.write_parts(tmp_path / "d.safetensors", adapter.parts, family, {})
    assert back == write.write_diffusers(tmp_path / "e.safetensors", states, family, {})
    read.load_into(pipeline, adapter, "again")
    try:
        for component, module in clean(pipeline, family).items():
            assert difference(merged_by_peft(module), expected[component]) < 1e-6
    finally:
        pipeline.unload_lora_weights()


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_diffusers_loads_kohyas_form(pipelines, tmp_path, family):
    """Of DoRA it says that it leaves the magnitudes out, and it knows no kohya names of SD3."""
    pipeline, path = pipelines(family), tmp_path / "k.safetensors"
    states, expected = train(pipeline, family, is_dora=False, rank=4, alpha=2)
    write_kohya(path, states, family, shape=shape_of(pipeline, family))
    found = loaded_by_diffusers(pipeline, path, family)
    for component in COMPONENTS[family]:
        assert difference(found[component], expected[component]) < 1e-6


def test_diffusers_loads_both_forms_of_flux(pipelines, tmp_path):
    """Of single blocks it takes those of 3072 only, of the form comfy attention only."""
    pipeline = pipelines("flux")
    states, expected = train(pipeline, "flux", is_dora=False, rank=4, alpha=2)
    layers = write.layers_of_states(states)["transformer"]
    double = {n: la for n, la in layers.items() if not n.startswith("single")}
    attention = {n: la for n, la in double.items() if ".attn." in n}
    for form, kept in (("kohya", double), ("comfy", attention)):
        path = tmp_path / f"{form}.safetensors"
        write.write_parts(path, {"transformer": kept}, "flux", {}, write.AdapterForm(name=form))
        pipeline.load_lora_weights(path)
        found = merged_by_peft(pipeline.transformer)
        pipeline.unload_lora_weights()
        assert difference(found, {n: expected["transformer"][n] for n in kept}) < 1e-6


def ldm_names(unet) -> dict:
    """Original names of blocks by walking the UNet as the original was built: input blocks are
    counted from conv_in on, output blocks from 0; in a block the resnet is 0, attention 1."""
    names, number = {"conv_in": "input_blocks.0.0", "conv_out": "out.2"}, 1
    for b, block in enumerate(unet.down_blocks):
        for i in range(len(block.resnets)):
            names[f"down_blocks.{b}.resnets.{i}"] = f"input_blocks.{number}.0"
            names[f"down_blocks.{b}.attentions.{i}"] = f"input_blocks.{number}.1"
            number += 1
        if block.downsamplers:
            names[f"down_blocks.{b}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1
    names |= {f"mid_block.resnets.{i}": f"middle_block.{2 * i}" for i in (0, 1)}
    names["mid_block.attentions.0"] = "middle_block.1"
    number = 0
    for b, block in enumerate(unet.up_blocks):
        for i in range(len(block.resnets)):
            names[f"up_blocks.{b}.resnets.{i}"] = f"output_blocks.{number}.0"
            names[f"up_blocks.{b}.attentions.{i}"] = f"output_blocks.{number}.1"
            if i == len(block.resnets) - 1 and block.upsamplers:
                sub = 2 if hasattr(block, "attentions") else 1
                names[f"up_blocks.{b}.upsamplers.0.conv"] = f"output_blocks.{number}.{sub}.conv"
            number += 1
    return names


def stem_of(component: str, own: str, family: str, blocks: dict) -> str:
    """A module's name in a kohya file, by the format's definition."""
    if component.startswith("text_encoder"):
        number = {"text_encoder": "1", "text_encoder_2": "2"}[component]
        own = own if own.startswith("text_model.") else f"text_model.{own}"
        return f"lora_te{'' if family == 'sd' else number}_{own}".replace(".", "_")
    if family == "sdxl":
        block = max((b for b in blocks if own == b or own.startswith(f"{b}.")), key=len)
        inner = own.removeprefix(block)
        if ".resnets." in block:
            inner = {
                ".conv1": ".in_layers.2",
                ".conv2": ".out_layers.3",
                ".time_emb_proj": ".emb_layers.1",
                ".conv_shortcut": ".skip_connection",
            }[inner]
        own = blocks[block] + inner
    return f"lora_unet_{own}".replace(".", "_")


def apply_kohya(weight, tensors: dict, stem: str, form: str):
    """W + up @ down * alpha / dim; with `dora_scale` the rows get that length: LyCORIS divides by
    the changed rows' lengths, ComfyUI by the base's. Takes the layer's tensors out."""
    down, up = tensors.pop(f"{stem}.lora_down.weight"), tensors.pop(f"{stem}.lora_up.weight")
    scale = float(tensors.pop(f"{stem}.alpha")) / down.shape[0]
    changed = weight + (up.flatten(1) @ down.flatten(1)).reshape(weight.shape) * scale
    lengths = tensors.pop(f"{stem}.dora_scale", None)
    if lengths is None:
        return changed
    whole = weight if form == "comfy" else changed
    rows = whole.reshape(whole.shape[0], -1).norm(dim=1).reshape(-1, *[1] * (weight.ndim - 1))
    return changed * (lengths / rows)


@pytest.mark.parametrize("is_dora", [False, True])
@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_kohyas_definition_gives_the_same_weights(pipelines, tmp_path, family, is_dora):
    from safetensors.torch import load_file

    pipeline, path = pipelines(family), tmp_path / "k.safetensors"
    states, expected = train(pipeline, family, is_dora=is_dora, rank=4, alpha=2)
    base, blocks = clean(pipeline, family), ldm_names(pipeline.unet)
    for form in ("kohya", "comfy"):
        options = {"shape": shape_of(pipeline, family), "base": base}
        write_kohya(path, states, family, form=form, **options)
        tensors = load_file(path)
        for component, module in base.items():
            for own in expected[component]:
                stem = stem_of(component, own, family, blocks)
                weight = module.get_submodule(own).weight.detach()
                found = apply_kohya(weight, tensors, stem, form)
                assert float((found - expected[component][own]).abs().max()) < 1e-5
        assert not tensors  # every tensor of the file was of a layer


def test_comfys_dora_is_not_read_back(pipelines, tmp_path):
    pipeline, path = pipelines("sd"), tmp_path / "c.safetensors"
    states, _ = train(pipeline, "sd", is_dora=True, rank=2, alpha=2)
    write_kohya(path, states, "sd", form="comfy", base=clean(pipeline, "sd"))
    with pytest.raises(UserError, match="this DoRA was written for ComfyUI"):
        read.read(path)


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_comfy_keeps_parts_apart(pipelines, tmp_path, family):
    pipeline, path = pipelines(family), tmp_path / "c.safetensors"
    states, expected = train(pipeline, family, is_dora=False, rank=2, alpha=1)
    write_kohya(path, states, family, form="comfy")
    tensors = safetensors_file.read_tensors(path)
    assert "lora_transformer_transformer_blocks_0_attn_to_q.lora_down.weight" in tensors
    adapter = read.read(path)
    modules = dict(pipeline.transformer.named_modules())
    found = {
        own: merged(modules[own].weight.detach(), one)
        for own, one in adapter.parts["transformer"].items()
    }
    assert difference(found, expected["transformer"]) < 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_flat_names_of_all_layers_come_back(pipelines, family):
    pipeline = pipelines(family)
    shape = shape_of(pipeline, family)
    for component, module in clean(pipeline, family).items():
        names = [n for n, m in module.named_modules() if getattr(m, "weight", None) is not None]
        adaptable = [n for n in names if "norm" not in n.split(".")[-1] or ".linear" in n]
        assert [layer.from_underscores(layer.to_underscores(n)) for n in adaptable] == adaptable
        if component == "unet" and family == "sdxl":
            original = [layer.to_ldm(n, shape) for n in adaptable]
            assert len(set(original)) == len(original)
            assert [layer.from_ldm(n, shape) for n in original] == adaptable


def test_adapter_of_another_base_is_refused_by_its_first_layer(pipelines, tmp_path):
    states, _ = train(pipelines("sdxl"), "sdxl", is_dora=False, rank=2, alpha=2)
    path = tmp_path / "x.safetensors"
    write.write_diffusers(path, states, "sdxl", {})
    base = clean(pipelines("sd"), "sd")
    with pytest.raises(
        UserError, match=("changes text_encoder_2, which this base model does not have")
    ):
        read.check_fits(read.read(path), base)
    write.write_diffusers(path, {"unet": states["unet"]}, "sdxl", {})
    with pytest.raises(
        UserError,
        match=(
            r"unet\.\S+ changes a weight of shape .* but the "
            r"base model's"
        ),
    ):
        read.check_fits(read.read(path), base)
    own, one = next(iter(write.layers_of_states(states)["unet"].items()))
    write.write_parts(path, {"unet": {f"{own}.more": one}}, "sdxl", {})
    with pytest.raises(UserError, match=r"\.more is missing from it"):
        read.load_into(pipelines("sdxl"), read.read(path), "x")


def test_foreign_diffusers_files_are_read(pipelines, tmp_path):
    """As diffusers saves them itself: alpha in the header, not in the weights."""
    from diffusers.training_utils import _collate_lora_metadata
    from peft import LoraConfig

    pipeline = pipelines("sd")
    states, expected = train(pipeline, "sd", is_dora=False, rank=4, alpha=2)
    pipeline.unet.add_adapter(LoraConfig(r=4, lora_alpha=2, target_modules=UNET))
    said = _collate_lora_metadata({"unet": pipeline.unet})
    pipeline.unload_lora_weights()
    pipeline.save_lora_weights(tmp_path, unet_lora_layers=states["unet"][0], **said)
    adapter = read.read(tmp_path / "pytorch_lora_weights.safetensors")
    assert (adapter.alpha, adapter.rank, adapter.family) == (2.0, 4, None)
    modules = dict(pipeline.unet.named_modules())
    found = {
        own: merged(kohya.find_module(modules, own).weight.detach(), one)
        for own, one in adapter.parts["unet"].items()
    }
    assert difference(found, expected["unet"]) < 1e-6
