"""Tiny captioning models made from their own configurations; what they say can be worked out."""

import csv
import json

import numpy as np
import tiny_onnx
from onnx import helper

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "rabbit", "grass", "a", "of"]
CHAT = ["<pad>", "<s>", "</s>", "<image>", "USER:", "ASSISTANT:", "rabbit"]
TEMPLATE = (
    "{% for m in messages %}USER: {% for c in m.content %}{% if c.type == 'image' %}<image> "
    "{% else %}{{ c.text }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
CLIP_WORDS = ["<|startoftext|>", "<|endoftext|>", "grass</w>", "snow</w>", "day</w>", "night</w>"]


def save_blip(folder, word="rabbit"):
    """A BLIP that writes `word` and nothing else, whatever it sees."""
    import torch
    from transformers import (
        BertTokenizer,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    heads = {"num_attention_heads": 2}
    ends = {"bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    config = BlipConfig(
        text_config={
            **SMALL,
            **heads,
            **ends,
            "vocab_size": len(WORDS),
            "encoder_hidden_size": 16,
            "max_position_embeddings": 64,
        },
        vision_config={**SMALL, **heads, "image_size": 32, "patch_size": 16},
        projection_dim=16,
        image_text_hidden_size=16,
    )
    torch.manual_seed(0)
    net = BlipForConditionalGeneration(config)
    with torch.no_grad():
        net.text_decoder.cls.predictions.bias[WORDS.index(word)] = 1000.0
    net.save_pretrained(folder)
    vocabulary = {name: i for i, name in enumerate(WORDS)}
    tokenizer = BertTokenizer(vocab=vocabulary)
    images = BlipImageProcessor(size={"height": 32, "width": 32})
    BlipProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def _tokenizer(number, **marks):
    """A tokenizer of whole words, to which `number` gives their numbers."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel(number, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, **names, **marks)


def save_llava(folder, word="rabbit"):
    """A LLaVA that answers every conversation with `word`, again and again."""
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    number = {name: i for i, name in enumerate([*CHAT, "[UNK]"])}
    tokenizer = _tokenizer(number, additional_special_tokens=["<image>"])
    heads = {"num_attention_heads": 2}
    seen = CLIPVisionConfig(**SMALL, **heads, image_size=32, patch_size=16)
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    words = LlamaConfig(
        **SMALL, **heads, **ends, vocab_size=len(number), max_position_embeddings=256
    )
    torch.manual_seed(0)
    net = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=seen,
            text_config=words,
            image_token_index=3,
            vision_feature_layer=-1,
            tie_word_embeddings=False,
        )
    )
    say_always(net.model.language_model, net.lm_head, number[word])
    net.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size),
        tokenizer=tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder


def save_qwen(folder, word="rabbit"):
    """A Qwen2-VL that answers every conversation with `word`; needs torchvision."""
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    number = {name: i for i, name in enumerate([*CHAT[:3], *marks, "USER:", word, "[UNK]"])}
    tokenizer = _tokenizer(number, additional_special_tokens=marks)
    torch.manual_seed(0)
    ids = {
        "vision_start_token_id": 3,
        "vision_end_token_id": 4,
        "image_token_id": 5,
        "video_token_id": 6,
    }
    net = Qwen2VLForConditionalGeneration(
        Qwen2VLConfig(
            text_config={
                **SMALL,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "bos_token_id": 1,
                "eos_token_id": 2,
                "pad_token_id": 0,
                "vocab_size": len(number),
                "max_position_embeddings": 512,
                "rope_parameters": {
                    "rope_type": "default",
                    "mrope_section": [1, 1, 2],
                    "rope_theta": 10000.0,
                },
            },
            vision_config={
                "depth": 1,
                "embed_dim": 16,
                "num_heads": 2,
                "hidden_size": 16,
                "mlp_ratio": 1,
                "patch_size": 4,
                "spatial_merge_size": 2,
                "temporal_patch_size": 2,
            },
            tie_word_embeddings=False,
            **ids,
        )
    )
    say_always(net.model.language_model, net.lm_head, number[word])
    net.save_pretrained(folder)
    size = {"shortest_edge": 8 * 8, "longest_edge": 64 * 64}
    about = {"patch_size": 4, "merge_size": 2, "size": size}
    Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**about),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**about),
        chat_template=TEMPLATE.replace("<image>", " ".join([marks[0], marks[2], marks[1]])),
    ).save_pretrained(folder)
    return folder


def say_always(model, head, number):
    """Layers add nothing and words are ones, so the last state is ones: one word is likeliest."""
    import torch

    with torch.no_grad():
        for layer in model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.embed_tokens.weight.fill_(1.0)
        head.weight.zero_()
        head.weight[number] = head.weight.new_ones(16)


def save_florence(folder):
    """A Florence-2, untrained, of nine words."""
    import torch
    from transformers import (
        CLIPImageProcessor,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
    )

    names = ["<s>", "<pad>", "</s>", "[UNK]", "<image>", "rabbit", "Describe", "in", "detail"]
    number = {name: i for i, name in enumerate(names)}
    tokenizer = _tokenizer(number, extra_special_tokens={"image_token": "<image>"})
    patch = {"patch_size": [7], "patch_stride": [16], "patch_padding": [3]}
    layer = {"depths": [1], "embed_dim": [16], "num_heads": [2], "num_groups": [2]}
    seen = {**patch, **layer, "patch_prenorm": [False], "window_size": 2, "projection_dim": 16}
    words = {
        "model_type": "bart",
        "d_model": 16,
        "vocab_size": len(names),
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "max_position_embeddings": 64,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
    }
    torch.manual_seed(0)
    config = Florence2Config(text_config=words, vision_config=seen, image_token_id=4)
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size)
    images.image_seq_length = 5
    Florence2Processor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def save_timm_tagger(folder):
    """The tags of `save_tagger` of a tiny network of timm, untrained."""
    import timm
    from safetensors.torch import save_file

    save_tagger(folder)
    (folder / "model.onnx").unlink()
    import torch

    torch.manual_seed(3)
    about = {"depths": [1, 1, 1, 1], "dims": [8, 8, 8, 8]}
    net = timm.create_model("convnext_atto", num_classes=5, **about)
    save_file(net.state_dict(), folder / "model.safetensors")
    given = {
        "input_size": [3, 32, 32],
        "mean": [0.5, 0.4, 0.3],
        "std": [0.5, 0.25, 0.2],
        "num_classes": 5,
        "crop_pct": 1.0,
    }
    config = {
        "architecture": "convnext_atto",
        "num_classes": 5,
        "model_args": about,
        "pretrained_cfg": given,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def save_tagger(folder, side_px=8):
    """A tagger of red, green and blue: each as sure as the picture's mean channel in [0, 1].

    Its tags: red_sky, green_grass, o_o (blue), hare (a character: as red_sky), safe (a rating).
    """
    folder.mkdir(parents=True)
    rows = [("red_sky", 0), ("green_grass", 0), ("o_o", 0), ("hare", 4), ("safe", 9)]
    with (folder / "selected_tags.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["tag_id", "name", "category", "count"])
        table.writerows([i, name, category, 1] for i, (name, category) in enumerate(rows))
    weight = np.zeros((3, 5), np.float32)  # of blue, green, red
    weight[2, [0, 3]], weight[1, 1], weight[0, [2]] = 1 / 255, 1 / 255, 1 / 255
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weight"], ["output"]),
    ]
    tiny_onnx._save(
        folder / "model.onnx",
        nodes,
        {"input": ["batch", side_px, side_px, 3]},
        {"output": ["batch", 5]},
        {"axes": np.array([1, 2], np.int64), "weight": weight},
    )
    return folder


def save_clip(folder):
    """A CLIP of eight numbers, untrained, that knows grass, snow, day and night."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder.mkdir(parents=True)
    numbers = {word: i for i, word in enumerate(CLIP_WORDS)}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    small = {**SMALL, "num_attention_heads": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**small, **ends, "vocab_size": len(numbers), "max_position_embeddings": 8},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(folder)
    files = [str(folder / name) for name in ("vocab.json", "merges.txt")]
    CLIPTokenizer(*files, model_max_length=8).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    return folder


def save_siglip(folder):
    """A SigLIP of 16 numbers, untrained, that knows the words of `WORDS`."""
    import torch
    from transformers import (
        BertTokenizer,
        SiglipConfig,
        SiglipImageProcessor,
        SiglipModel,
        SiglipProcessor,
    )

    small = {**SMALL, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = SiglipConfig(
        text_config={
            **small,
            "vocab_size": len(WORDS),
            "max_position_embeddings": 8,
            "projection_size": 16,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
        },
        vision_config={**small, "image_size": 32, "patch_size": 16},
    )
    SiglipModel(config).save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={name: i for i, name in enumerate(WORDS)}, model_max_length=8)
    images = SiglipImageProcessor(size={"height": 32, "width": 32})
    SiglipProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder
