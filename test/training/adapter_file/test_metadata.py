"""Texts of an adapter's header, word by word: other tools decide by them."""

import json

import pytest

import bunny
from bunny.training.adapter_file import metadata as adapter_file_metadata
from bunny.training.adapter_file.layer import LoraLayer


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


@pytest.mark.parametrize(
    ("family", "width", "prediction", "said"),
    [
        (
            "sd",
            768,
            "epsilon",
            ("networks.lora", "sd_v1", "False", "stable-diffusion-v1/lora", "diffusers"),
        ),
        (
            "sd",
            768,
            "v_prediction",
            ("networks.lora", "sd_v1_v", "False", "stable-diffusion-v1/lora", "diffusers"),
        ),
        (
            "sd",
            1024,
            "epsilon",
            ("networks.lora", "sd_v2", "True", "stable-diffusion-v2-512/lora", "diffusers"),
        ),
        (
            "sd",
            1024,
            "v_prediction",
            ("networks.lora", "sd_v2_v", "True", "stable-diffusion-v2-768-v/lora", "diffusers"),
        ),
        (
            "sdxl",
            2048,
            "v_prediction",
            (
                "networks.lora",
                "sdxl_base_v1-0",
                "False",
                "stable-diffusion-xl-v1-base/lora",
                "https://github.com/Stability-AI/generative-models",
            ),
        ),
        (
            "sd3",
            9,
            "",
            ("networks.lora_sd3", "sd3", "False", "stable-diffusion-3/lora", "diffusers"),
        ),
        (
            "flux",
            9,
            "",
            (
                "networks.lora_flux",
                "flux1",
                "False",
                "flux-1/lora",
                "https://github.com/black-forest-labs/flux",
            ),
        ),
    ],
)
def test_what_each_family_is_called(family, width, prediction, said):
    layers = {f"down_blocks.0.attn2.{word}": _layer(width=width) for word in ("to_k", "to_v")}
    layers["down_blocks.0.attn2.to_q"] = _layer(width=320)
    parts = {"unet": layers, "text_encoder": {"q_proj": _layer(width=7)}}
    texts = adapter_file_metadata.kohya_texts(parts, family, {**OWN, "prediction_type": prediction})
    kind = {"epsilon": "epsilon", "v_prediction": "v"}.get(prediction)
    module, version, is_v2, architecture, implementation = said
    assert texts == {
        **SAME,
        "ss_network_module": module,
        "ss_base_model_version": version,
        "ss_v2": is_v2,
        "modelspec.architecture": architecture,
        "modelspec.implementation": implementation,
        **({"modelspec.prediction_type": kind} if kind else {}),
    }


def test_an_unknown_family_is_called_by_its_name():
    texts = adapter_file_metadata.kohya_texts({"unet": {"x": _layer()}}, "novel", {})
    assert texts["ss_base_model_version"] == "novel" and texts["ss_output_name"] == "character"
    assert texts["modelspec.architecture"] == "novel/lora"
    assert texts["modelspec.title"] == "character"
    assert not {"modelspec.trigger_phrase", "modelspec.usage_hint", "ss_steps"} & set(texts)
    named = adapter_file_metadata.kohya_texts(
        {"unet": {"x": _layer()}}, "novel", {"trigger": "sks", "title": "T"}
    )
    assert (named["ss_output_name"], named["modelspec.title"]) == ("sks", "T")


def test_what_is_known_of_the_training_is_told():
    own = {
        "base_hash": "abc",
        "step": "40",
        "resolution_px": "512",
        "rights_film": "a film",
        "author": "ana",
        "date": "2026-01-02",
        "prediction_type": "v",
        "subject": "bun",
    }
    captions = ["bun, snow", " bun ,", "fog, bun"]
    texts = adapter_file_metadata.kohya_texts({"unet": {"x": _layer()}}, "sd", own, captions)
    told = {
        "ss_sd_model_hash": "abc",
        "ss_steps": "40",
        "ss_num_train_images": "3",
        "modelspec.resolution": "512x512",
        "modelspec.description": "a film",
        "modelspec.author": "ana",
        "modelspec.date": "2026-01-02",
        "modelspec.prediction_type": "v",
        "modelspec.license": "film: a film",
    }
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
    texts = adapter_file_metadata.kohya_texts({"unet": {"x": _layer()}}, "sd", own)
    assert texts.get("modelspec.license") == licence


def test_of_many_words_the_most_frequent_stand_in_the_header():
    captions = [f"w{i:03d}" for i in range(600)] + ["w599"]
    counted = adapter_file_metadata.count_tags(captions)
    assert list(counted)[:3] == ["w599", "w000", "w001"] and len(counted) == 500
    assert counted["w599"] == 2 and counted["w498"] == 1 and "w499" not in counted


def test_convolutions_and_dora_stand_in_the_arguments():
    spatial = _layer(rank=4, alpha=2.0, kernel=(3, 3))
    plain = adapter_file_metadata.kohya_texts(
        {"unet": {"a": _layer(), "b": _layer(kernel=(1, 1))}}, "sd", {}
    )
    assert "ss_network_args" not in plain
    texts = adapter_file_metadata.kohya_texts(
        {"unet": {"a": _layer(), "b": spatial, "c": _layer()}}, "sd", {}
    )
    assert json.loads(texts["ss_network_args"]) == {"conv_dim": "4", "conv_alpha": "2.0"}
    assert (texts["ss_network_dim"], texts["ss_network_alpha"]) == ("2", "1")
    parts = {"unet": {"a": _layer(is_dora=True)}}
    texts = adapter_file_metadata.kohya_texts(
        parts, "flux", adapter_file_metadata.own_texts(parts, "flux", {})
    )
    assert texts["ss_network_module"] == "lycoris.kohya"
    assert json.loads(texts["ss_network_args"]) == {
        "algo": "lora",
        "dora_wd": "True",
        "wd_on_output": "True",
    }


def test_the_arguments_of_a_dora_name_its_convolutions_too():
    """A kernel of 2 is as spatial as one of 3."""
    parts = {"unet": {"a": _layer(rank=4, alpha=2.0, is_dora=True, kernel=(2, 2))}}
    texts = adapter_file_metadata.kohya_texts(
        parts, "sd", adapter_file_metadata.own_texts(parts, "sd", {})
    )
    assert json.loads(texts["ss_network_args"]) == {
        "conv_dim": "4",
        "conv_alpha": "2.0",
        "algo": "lora",
        "dora_wd": "True",
        "wd_on_output": "True",
    }


def test_our_own_texts():
    layers = {"a": _layer(), "b": _layer(), "c": _layer(rank=8, alpha=8.0)}
    parts = {"unet": layers, "text_encoder": {"a": _layer()}}
    metadata = {"trigger": "sks", "step": 4, "sample_prompts": ["ä", "b"], "set_hash": None}
    assert adapter_file_metadata.own_texts(parts, "sd", metadata) == {
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
    given = adapter_file_metadata.own_texts(
        {"unet": {"a": _layer(alpha=0.5, is_dora=True)}}, "sd", {"rank": 16}
    )
    assert (given["rank"], given["alpha"], given["adapter"]) == ("16", "0.5", "dora")
    assert adapter_file_metadata.common_rank({}) == (0, 0.0)
