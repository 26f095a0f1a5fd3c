"""Safetensors files: same bytes, read with care, never a pickle."""

import hashlib
import json
import pickle

import pytest

import bunny
from bunny.core import file_hash
from bunny.core.error import UserError
from bunny.training.adapter_file import layer, safetensors_file
from bunny.training.adapter_file.layer import LoraLayer


@pytest.fixture(scope="module")
def tensors():
    """Two small tensors."""
    import torch

    return {"b": torch.arange(6, dtype=torch.float32).reshape(2, 3), "a": torch.ones(4)}


def parse(data: bytes) -> tuple[dict, bytes]:
    """Header and body by the format's definition: 8 bytes of length, JSON, tensors."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def build(path, header: dict, body: bytes = b"", length: int | None = None):
    """A file with any header."""
    text = json.dumps(header).encode()
    size = len(text) if length is None else length
    path.write_bytes(size.to_bytes(8, "little") + text + body)
    return path


def test_header_is_sorted_and_the_weights_are_the_tensors(tensors, tmp_path):
    texts = {"z": "last", "modelspec.hash_sha256": "", "a": "first"}
    digest = safetensors_file.write_file(tmp_path / "x.safetensors", tensors, texts)
    data = (tmp_path / "x.safetensors").read_bytes()
    header, body = parse(data)
    assert (
        digest
        == hashlib.sha256(data).hexdigest()
        == file_hash.hash_file(tmp_path / "x.safetensors")
    )
    assert list(header) == ["__metadata__", "a", "b"]
    assert list(header["__metadata__"]) == ["a", "format", "modelspec.hash_sha256", "z"]
    begin, end = header["b"]["data_offsets"]
    assert body[begin:end] == tensors["b"].numpy().tobytes() and header["b"]["shape"] == [2, 3]
    assert (
        header["__metadata__"]["modelspec.hash_sha256"] == f"0x{hashlib.sha256(body).hexdigest()}"
    )
    assert int.from_bytes(data[:8], "little") % 8 == 0


def test_the_header_names_the_framework(tensors, tmp_path):
    """transformers and diffusers refuse a safetensors file whose format is not told."""
    safetensors_file.write_file(tmp_path / "x.safetensors", tensors, {"format": "other"})
    assert safetensors_file.read_texts(tmp_path / "x.safetensors") == {"format": "pt"}


def test_a_file_without_texts_has_none(tmp_path):
    span = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    path = build(tmp_path / "x.safetensors", {"a": span}, b"\0" * 4)
    assert safetensors_file.read_texts(path) == {}
    assert safetensors_file.read_tensors(path)["a"].tolist() == [0.0]


def test_same_content_gives_same_bytes_in_any_order(tensors, tmp_path):
    one = safetensors_file.write_file(tmp_path / "x.safetensors", tensors, {"a": "1", "b": "2"})
    reversed_tensors = dict(reversed(tensors.items()))
    assert one == safetensors_file.write_file(
        tmp_path / "y.safetensors", reversed_tensors, {"b": "2", "a": "1"}
    )
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["x.safetensors", "y.safetensors"]


def test_texts_lose_folders_and_secrets(tensors, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghij")
    texts = {
        "base_model": "/home/anna b/models/my base",
        "note": "of C:\\Users\\anna\\film.mp4 and ~/films/b.mp4, from https://a.org/b/c and/or it",
        "key": "hf_abcdefghij",
    }
    safetensors_file.write_file(tmp_path / "x.safetensors", tensors, texts)
    kept = safetensors_file.read_texts(tmp_path / "x.safetensors")
    assert kept["base_model"] == "my base"
    assert kept["note"] == "of film.mp4 and b.mp4, from https://a.org/b/c and/or it"
    assert kept["key"] == "<HF_TOKEN>"


def test_write_failed_halfway_leaves_the_old_file(tensors, tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    safetensors_file.write_file(path, tensors, {})
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        safetensors_file.write_file(path, tensors, {"new": "text"})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_tensors_come_back(tensors, tmp_path):
    safetensors_file.write_file(tmp_path / "x.safetensors", tensors, {})
    found = safetensors_file.read_tensors(tmp_path / "x.safetensors")
    assert set(found) == {"a", "b"} and bool((found["b"] == tensors["b"]).all())


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".ckpt", ".pth", ".PKL", ".pickle"])
def test_pickles_are_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"")
    with pytest.raises(UserError, match="a pickle format that can execute code"):
        safetensors_file.read_header(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_are_refused_by_content(tmp_path, protocol):
    path = tmp_path / "x.safetensors"
    path.write_bytes(pickle.dumps({"lora": [1.0, 2.0, 3.0]}, protocol=protocol))
    with pytest.raises(UserError, match="found a pickle or an archive"):
        safetensors_file.read_header(path)


@pytest.mark.parametrize(
    "start",
    [b"PK\x03\x04", b"\x1f\x8b", b"\x89HDF", b"\x93NUMPY"],
    ids=["zip", "gzip", "hdf", "npy"],
)
def test_other_containers_are_refused_by_content(tmp_path, start):
    path = tmp_path / "x.safetensors"
    path.write_bytes(start + b"\0" * 20)
    with pytest.raises(UserError, match=r"x\.safetensors: .*found a pickle or an archive"):
        safetensors_file.read_header(path)


def test_torch_save_under_another_name_is_refused_and_not_run(tmp_path):
    import torch

    path = tmp_path / "x.safetensors"
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(UserError, match="found a pickle or an archive"):
        safetensors_file.read_tensors(path)


def test_header_of_640_bytes_is_no_pickle(tmp_path, tensors):
    """Its length begins with 0x80 0x02, as a pickle does."""
    for size in range(400, 640):
        safetensors_file.write_file(tmp_path / "x.safetensors", tensors, {"pad": "x" * size})
        if (tmp_path / "x.safetensors").read_bytes()[:2] == b"\x80\x02":
            assert set(safetensors_file.read_tensors(tmp_path / "x.safetensors")) == {"a", "b"}
            return
    raise AssertionError("no header of 640 bytes came out")


def test_broken_files_are_refused_in_a_sentence(tensors, tmp_path):
    whole = tmp_path / "x.safetensors"
    safetensors_file.write_file(whole, tensors, {})
    data, bad = whole.read_bytes(), tmp_path / "bad.safetensors"
    span = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    cases = [
        (b"", "found only 0 bytes"),
        (data[:5], "found only 5 bytes"),
        (data[:40], "the header claims"),
        (data[:-1], "truncated or damaged"),
        (data + b"\0", "truncated or damaged"),
        ((1 << 40).to_bytes(8, "little") + b"{}", "the header claims"),
        ((6).to_bytes(8, "little") + b"nojson", "expected a safetensors header"),
        ((4).to_bytes(8, "little") + b"[1] ", "expected a safetensors header"),
    ]
    for content, reason in cases:
        bad.write_bytes(content)
        with pytest.raises(UserError, match=rf"bad\.safetensors: .*{reason}"):
            safetensors_file.read_tensors(bad)
    for header, reason in [
        ({"a": span, "b": {**span, "data_offsets": [2, 6]}}, "truncated or damaged"),
        ({"a": {**span, "shape": [7]}}, "not a valid safetensors file"),
        ({"a": {"dtype": "F32"}}, "truncated or damaged"),
        ({"__metadata__": {"a": 1}}, "expected text values"),
    ]:
        with pytest.raises(UserError, match=rf"bad\.safetensors: .*{reason}"):
            safetensors_file.read_tensors(build(bad, header, b"\0" * 4))


def test_header_above_the_limit_is_not_read(tmp_path):
    path = tmp_path / "x.safetensors"
    with path.open("wb") as stream:
        stream.write((safetensors_file.HEADER_MAX + 1).to_bytes(8, "little"))
        stream.truncate(safetensors_file.HEADER_MAX + 100)
    with pytest.raises(UserError, match="of at most 16777216 bytes"):
        safetensors_file.read_header(path)


def test_missing_files_names_and_weights_are_refused(tensors, tmp_path):
    with pytest.raises(UserError, match="file not found"):
        safetensors_file.read_header(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match=r"ending in \.safetensors"):
        safetensors_file.write_file(tmp_path / "x.bin", tensors, {})
    with pytest.raises(UserError, match="no weights to write"):
        safetensors_file.write_file(tmp_path / "x.safetensors", {}, {})


# Pairs from files that sd-scripts writes for SDXL (their keys are public); diffusers' names beside.
SDXL = {
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": (
        "input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    ),
    "down_blocks.2.attentions.1.proj_out": "input_blocks_8_1_proj_out",
    "mid_block.attentions.0.transformer_blocks.9.ff.net.0.proj": (
        "middle_block_1_transformer_blocks_9_ff_net_0_proj"
    ),
    "up_blocks.0.attentions.2.transformer_blocks.9.attn2.to_out.0": (
        "output_blocks_2_1_transformer_blocks_9_attn2_to_out_0"
    ),
    "up_blocks.1.attentions.0.proj_in": "output_blocks_3_1_proj_in",
    "down_blocks.0.resnets.0.conv1": "input_blocks_1_0_in_layers_2",
    "down_blocks.0.downsamplers.0.conv": "input_blocks_3_0_op",
    "mid_block.resnets.1.time_emb_proj": "middle_block_2_emb_layers_1",
    "up_blocks.2.resnets.0.conv_shortcut": "output_blocks_6_0_skip_connection",
    "up_blocks.1.upsamplers.0.conv": "output_blocks_5_2_conv",
    "up_blocks.2.resnets.2.conv2": "output_blocks_8_0_out_layers_3",
    "conv_in": "input_blocks_0_0",
    "time_embedding.linear_2": "time_embed_2",
}


@pytest.mark.parametrize("own", SDXL)
def test_sdxl_layers_have_their_original_names(own):
    shape = layer.UnetShape()
    assert layer.to_underscores(layer.to_ldm(own, shape)) == SDXL[own]
    assert layer.from_ldm(layer.from_underscores(SDXL[own]), shape) == own


@pytest.mark.parametrize("own", ["down_blocks.0.resnets.0.norm1", "class_embedding", "x.y"])
def test_layers_that_the_original_does_not_name_are_refused(own):
    with pytest.raises(UserError, match="has no name in the original model"):
        layer.to_ldm(own, layer.UnetShape())


def test_shape_comes_from_the_configuration():
    config = {"layers_per_block": 1, "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"]}
    assert layer.shape_of(config) == layer.UnetShape(
        layers_per_block=1, has_up_attention=(True, False)
    )
    with pytest.raises(UserError, match="single layers_per_block"):
        layer.shape_of({**config, "layers_per_block": [1, 2]})


def test_a_file_can_be_written_over_with_what_was_read_from_it(tmp_path):
    """On Windows a file that is mapped into memory cannot be replaced."""
    import torch

    path = tmp_path / "a.safetensors"
    safetensors_file.write_file(path, {"a": torch.ones(9)}, {})
    read = safetensors_file.read_tensors(path)
    safetensors_file.write_file(path, {"b": read["a"] * 2}, {})
    assert safetensors_file.read_tensors(path)["b"].tolist() == [2.0] * 9
    assert read["a"].tolist() == [1.0] * 9


def _layer(rank=2, alpha=1.0, width=3, out=4, is_dora=False, kernel=()):
    import torch

    return LoraLayer(
        down=torch.zeros(rank, width, *kernel),
        up=torch.zeros(out, rank, *[1] * len(kernel)),
        alpha=alpha,
        magnitude=torch.ones(out) if is_dora else None,
    )


OWN = {"subject": "my bun", "trigger": "sks bun", "base_model": "base", "made_by": "we"}
SAME = {
    "ss_network_dim": "2",
    "ss_network_alpha": "1",
    "ss_output_name": "my_bun",
    "ss_sd_model_name": "base",
    "modelspec.sai_model_spec": "1.0.1",
    "modelspec.title": "my bun",
    "modelspec.trigger_phrase": "sks bun",
    "modelspec.usage_hint": "Use 'my bun' in the prompt",
    "modelspec.implementation_version": "we",
    "modelspec.hash_sha256": "",
    "sshs_model_hash": "",
}


XL_BASE = "stable-diffusion-xl-v1-base"
STABILITY = "https://github.com/Stability-AI/generative-models"
FLUX = "https://github.com/black-forest-labs/flux"


@pytest.mark.parametrize(
    ("family", "width", "prediction", "module", "version", "is_v2", "architecture", "made_for"),
    [
        ("sd", 768, "epsilon", "", "sd_v1", False, "stable-diffusion-v1", "diffusers"),
        ("sd", 768, "v_prediction", "", "sd_v1_v", False, "stable-diffusion-v1", "diffusers"),
        ("sd", 1024, "epsilon", "", "sd_v2", True, "stable-diffusion-v2-512", "diffusers"),
        ("sd", 1024, "v_prediction", "", "sd_v2_v", True, "stable-diffusion-v2-768-v", "diffusers"),
        ("sdxl", 2048, "v_prediction", "", "sdxl_base_v1-0", False, XL_BASE, STABILITY),
        ("sd3", 9, "", "_sd3", "sd3", False, "stable-diffusion-3", "diffusers"),
        ("flux", 9, "", "_flux", "flux1", False, "flux-1", FLUX),
    ],
)
def test_what_each_family_is_called(
    family, width, prediction, module, version, is_v2, architecture, made_for
):
    layers = {f"down_blocks.0.attn2.{word}": _layer(width=width) for word in ("to_k", "to_v")}
    layers["down_blocks.0.attn2.to_q"] = _layer(width=320)
    parts = {"unet": layers, "text_encoder": {"q_proj": _layer(width=7)}}
    texts = safetensors_file.kohya_texts(parts, family, {**OWN, "prediction_type": prediction})
    kind = {"epsilon": "epsilon", "v_prediction": "v"}.get(prediction)
    assert texts == {
        **SAME,
        "ss_network_module": f"networks.lora{module}",
        "ss_base_model_version": version,
        "ss_v2": str(is_v2),
        "modelspec.architecture": f"{architecture}/lora",
        "modelspec.implementation": made_for,
        **({"modelspec.prediction_type": kind} if kind else {}),
    }


def test_an_unknown_family_is_called_by_its_name():
    texts = safetensors_file.kohya_texts({"unet": {"x": _layer()}}, "novel", {})
    assert texts["ss_base_model_version"] == "novel" and texts["ss_output_name"] == "character"
    assert texts["modelspec.architecture"] == "novel/lora"
    assert texts["modelspec.title"] == "character"
    assert not {"modelspec.trigger_phrase", "modelspec.usage_hint", "ss_steps"} & set(texts)
    named = safetensors_file.kohya_texts(
        {"unet": {"x": _layer()}}, "novel", {"trigger": "sks", "title": "T"}
    )
    assert (named["ss_output_name"], named["modelspec.title"]) == ("sks", "T")


def test_what_is_known_of_the_training_is_told():
    same = {"author": "ana", "date": "2026-01-02", "prediction_type": "v"}
    own = {"base_hash": "abc", "step": "40", "resolution_px": "512", "subject": "bun"}
    own |= {"rights_film": "a film", **same}
    captions = ["bun, snow", " bun ,", "fog, bun"]
    texts = safetensors_file.kohya_texts({"unet": {"x": _layer()}}, "sd", own, captions)
    told = {"ss_sd_model_hash": "abc", "ss_steps": "40", "ss_num_train_images": "3"}
    same |= {"resolution": "512x512", "description": "a film", "license": "film: a film"}
    told |= {f"modelspec.{key}": value for key, value in same.items()}
    assert {key: texts[key] for key in told} == told
    assert json.loads(texts["ss_tag_frequency"]) == {"bun": {"bun": 3, "fog": 1, "snow": 1}}
    assert list(json.loads(texts["ss_tag_frequency"])["bun"]) == ["bun", "fog", "snow"]


@pytest.mark.parametrize(
    ("own", "licence"),
    [
        ({"licence": "mit", "rights_film": "f"}, "mit"),
        ({"rights_film": "f", "rights_base_model": "b"}, "film: f; base model: b"),
        ({"rights_base_model": "b"}, "base model: b"),
        ({}, None),
    ],
)
def test_a_licence_is_that_of_the_adapter_or_of_its_sources(own, licence):
    texts = safetensors_file.kohya_texts({"unet": {"x": _layer()}}, "sd", own)
    assert texts.get("modelspec.license") == licence


def test_of_many_words_the_most_frequent_stand_in_the_header():
    captions = [f"w{i:03d}" for i in range(600)] + ["w599"]
    texts = safetensors_file.kohya_texts({"unet": {"x": _layer()}}, "sd", {}, captions)
    counted = json.loads(texts["ss_tag_frequency"])["character"]
    assert list(counted)[:3] == ["w599", "w000", "w001"] and len(counted) == 500
    assert counted["w599"] == 2 and counted["w498"] == 1 and "w499" not in counted


DORA = {"algo": "lora", "dora_wd": "True", "wd_on_output": "True"}


def test_convolutions_and_dora_stand_in_the_arguments():
    spatial = _layer(rank=4, alpha=2.0, kernel=(3, 3))
    plain = safetensors_file.kohya_texts(
        {"unet": {"a": _layer(), "b": _layer(kernel=(1, 1))}}, "sd", {}
    )
    assert "ss_network_args" not in plain
    texts = safetensors_file.kohya_texts(
        {"unet": {"a": _layer(), "b": spatial, "c": _layer()}}, "sd", {}
    )
    assert json.loads(texts["ss_network_args"]) == {"conv_dim": "4", "conv_alpha": "2.0"}
    assert (texts["ss_network_dim"], texts["ss_network_alpha"]) == ("2", "1")
    parts = {"unet": {"a": _layer(is_dora=True)}}
    texts = safetensors_file.kohya_texts(
        parts, "flux", safetensors_file.own_texts(parts, "flux", {})
    )
    assert texts["ss_network_module"] == "lycoris.kohya"
    assert json.loads(texts["ss_network_args"]) == DORA


def test_the_arguments_of_a_dora_name_its_convolutions_too():
    """A kernel of 2 is as spatial as one of 3."""
    parts = {"unet": {"a": _layer(rank=4, alpha=2.0, is_dora=True, kernel=(2, 2))}}
    texts = safetensors_file.kohya_texts(parts, "sd", safetensors_file.own_texts(parts, "sd", {}))
    assert json.loads(texts["ss_network_args"]) == DORA | {"conv_dim": "4", "conv_alpha": "2.0"}


def test_our_own_texts():
    layers = {"a": _layer(), "b": _layer(), "c": _layer(rank=8, alpha=8.0)}
    parts = {"unet": layers, "text_encoder": {"a": _layer()}}
    metadata = {"trigger": "sks", "step": 4, "sample_prompts": ["ä", "b"], "set_hash": None}
    assert safetensors_file.own_texts(parts, "sd", metadata) == {
        "rank": "2",
        "alpha": "1",
        "trigger": "sks",
        "step": "4",
        "sample_prompts": '["ä", "b"]',
        "family": "sd",
        "adapter": "lora",
        "components": "text_encoder, unet",
        "made_by": f"Diffusion Bunny {bunny.__version__}",
    }
    given = safetensors_file.own_texts(
        {"unet": {"a": _layer(alpha=0.5, is_dora=True)}}, "sd", {"rank": 16}
    )
    assert (given["rank"], given["alpha"], given["adapter"]) == ("16", "0.5", "dora")
    assert safetensors_file.common_rank({}) == (0, 0.0)
