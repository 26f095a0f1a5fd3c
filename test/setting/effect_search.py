"""Effects of the settings of search: what is found, and the index of vectors that is asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
from setting_effect import Effect, Seen

QUESTIONS = range(0, 320, 20)  # shots, of which each is asked for the one most like it
POOR = {"search.exact_below": 0, "search.index_connectivity": 3, "search.max_results": 1}
WORDS = ("<|startoftext|>", "<|endoftext|>", "bunny</w>")


def _shots(seen: Seen, *question: str) -> list[int]:
    """Shots that answer, the best first."""
    return [
        row["shot_index"]
        for row in json.loads(seen.bunny("search", "--json", *question).out)["shots"]
    ]


def _num_found(seen: Seen) -> tuple[int, int]:
    """Shots that a filter lets pass, and shots like another one."""
    return len(_shots(seen)), len(_shots(seen, "--like", "0"))


def _vectors(seen: Seen) -> np.ndarray:
    return np.stack(seen.table("embedding")["vector"].to_numpy()).astype(np.float32)


def _most_like(vectors: np.ndarray, shot: int) -> int:
    """The other shot with the largest cosine."""
    cosine = vectors @ vectors[shot]
    cosine[shot] = -1
    return int(np.argmax(cosine))


def _index(seen: Seen) -> Path:
    """The one index that a search made."""
    _shots(seen, "--like", "0")
    [path] = seen.data.rglob("*.usearch")
    return path


def _num_indexes(seen: Seen) -> int:
    _shots(seen, "--like", "0")
    return len(list(seen.data.rglob("*.usearch")))


def _connectivity(seen: Seen) -> int:
    """How many neighbours a node of the index has, as its file says."""
    from usearch.index import Index

    return Index.restore(str(_index(seen)), view=True).connectivity


def _quality(seen: Seen) -> float:
    """Share of shots whose most like one the index knows if it looks no further than it must."""
    from usearch.index import Index

    index, vectors = Index.restore(str(_index(seen)), view=True), _vectors(seen)
    index.expansion_search = 2
    keys = index.search(vectors, 2, threads=1).keys[:, 1]
    found = (keys - np.load(_index(seen).with_suffix(".npy")).min()).astype(int)  # one run of keys
    right = [_most_like(vectors, shot) for shot in range(0, len(vectors), 4)]
    return float(np.mean(found[::4] == right))


def _num_right(seen: Seen) -> int:
    """Questions that are answered by the shot that is most like the one that was asked for."""
    vectors = _vectors(seen)
    found = [_shots(seen, "--like", str(shot)) for shot in QUESTIONS]
    return sum(
        own == [_most_like(vectors, shot)] for own, shot in zip(found, QUESTIONS, strict=True)
    )


def _is_clip_asked(seen: Seen) -> bool:
    """Whether words are compared with pictures, in the eight numbers of a small CLIP."""
    _make_clip(seen.data / "clip")
    seen.bunny("search", "bunny", folder=seen.data, more={"project.data_dir": "."})
    kept = [pl.read_parquet(path) for path in seen.data.rglob("search_vector.parquet")]
    return [len(table["vector"][0]) for table in kept] == [8]


def _make_clip(folder: Path) -> None:
    """A CLIP that knows one word and was never trained."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(WORDS)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    small = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    words = {"vocab_size": len(WORDS), "max_position_embeddings": 8}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**small, **words, **ends},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(folder)
    files = [str(folder / name) for name in ("vocab.json", "merges.txt")]
    CLIPTokenizer(*files).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)


EFFECT = {
    "search.text_model": Effect(
        values=("minilm", "./clip"), look=_is_clip_asked, gives=(False, True)
    ),
    "search.exact_below": Effect(values=(6, 7), look=_num_indexes, gives=(1, 0)),
    "search.index_connectivity": Effect(
        values=(3, 9), given={"search.exact_below": 0}, look=_connectivity, gives=(3, 9)
    ),
    "search.index_expansion_add": Effect(
        values=(8, 512),  # an index of three neighbours a node knows 0.05 and 0.21 of them
        given=POOR,
        look=_quality,
        holds=lambda poor, good: poor < 0.1 < good,  # a margin: threads make each index anew
        film="wide_film",
    ),
    "search.index_expansion_search": Effect(
        values=(8, 4096),
        given={**POOR, "search.index_expansion_add": 8},
        look=_num_right,
        holds=lambda few, most: few < 12 <= most,  # of sixteen; about 5 and 16
        film="wide_film",
    ),
    "search.max_results": Effect(values=(1, 20), look=_num_found, gives=((1, 1), (3, 2))),
}
