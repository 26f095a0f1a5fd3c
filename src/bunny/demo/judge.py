"""The toy judge: tells what pictures of the sample world show, and whether they match a prompt.

A small network of ours, trained on the renderer's truth by `python_script/make_judge.py`; it never
saw a picture that a model drew, nor does any training see its answers. It knows the sample world
and nothing else: of another picture its answer means nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from bunny import demo
from bunny.core.error import UserError
from bunny.demo import judge_net, judge_prompt, world

WEIGHT_FILE, CONFIG_FILE = "judge.safetensors", "config.json"
SIDE_MIN_PX = 64
BATCH_SIZE = 64


class ToyJudge:
    """The loaded network; `probabilities` is its one method, the others are made from it."""

    def __init__(self, net: Any, config: dict[str, Any], device: str = "cpu") -> None:
        self.net = net.eval().to(device)
        self.config = config
        self.device = device
        self.words: dict[str, tuple[str, ...]] = judge_net.WORDS

    @classmethod
    def load(cls, folder: Path | str | None = None, device: str = "cpu") -> ToyJudge:
        """Read the judge.

        Parameters
        ----------
        folder : Path or str, optional
            With ``judge.safetensors`` and ``config.json``; by default the sample's own.
        device : str
            A torch device.

        Raises
        ------
        UserError
            If there is no judge, or one that uses other words than this version.
        """
        from safetensors.torch import load_file

        folder = Path(folder) if folder else demo.film_path().parent / "judge"
        for name in (WEIGHT_FILE, CONFIG_FILE):
            if not (folder / name).is_file():
                raise UserError(
                    f"{folder}: {name} not found; train a judge with python_script/make_judge.py"
                )
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if config["words"] != {name: list(words) for name, words in judge_net.WORDS.items()}:
            raise UserError(
                f"{folder}: the judge was trained with another vocabulary; train it "
                "again with python_script/make_judge.py"
            )
        net = judge_net.make_net(tuple(config["widths"]))
        weights = load_file(folder / WEIGHT_FILE)
        net.load_state_dict({name: part.to(_kind(name)) for name, part in weights.items()})
        return cls(net, config, device)

    def probabilities(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        """Tell what pictures show.

        Parameters
        ----------
        pictures : np.ndarray, shape (n, height, width, 3), uint8
            RGB, 64 pixels a side or more; of what is not square the middle is judged.

        Returns
        -------
        dict of str to np.ndarray, shape (n, words), float32
            For each attribute of `words`, in [0, 1]. Rows of place, light, size and count sum to 1;
            species, colour, garment and wear_colour are yes or no each, for several may be seen.

        Raises
        ------
        ValueError
            If `pictures` is not such an array.
        """
        import torch

        _check(pictures)
        parts = []
        with torch.no_grad():
            for start in range(0, len(pictures), BATCH_SIZE):
                shown = np.stack([_fit(one) for one in pictures[start : start + BATCH_SIZE]])
                pixels = torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 127.5 - 1
                parts.append(self.net(pixels.to(self.device)).float().cpu())
        if not parts:
            return {name: np.zeros((0, len(w)), np.float32) for name, w in self.words.items()}
        return {
            name: _probability(name, logits / self.config.get("temperature", {}).get(name, 1.0))
            for name, logits in judge_net.split(torch.cat(parts)).items()
        }

    def details(
        self,
        pictures: np.ndarray,
        prompts: Sequence[str],
        meaning: Mapping[str, world.Character] | None = None,
    ) -> pl.DataFrame:
        """Compare each picture with what its prompt names.

        Parameters
        ----------
        pictures : np.ndarray, shape (n, height, width, 3), uint8
        prompts : sequence of str
            One a picture.
        meaning : mapping of str to world.Character, optional
            What strange words stand for; see `judge_prompt.parse`.

        Returns
        -------
        pl.DataFrame
            One row for each word that a prompt names, in order of pictures; columns in
            `judge_prompt.DETAIL_SCHEMA`, rules in `judge_prompt.compare`.

        Raises
        ------
        ValueError
            If the numbers of pictures and prompts differ.
        """
        if len(pictures) != len(prompts):
            raise ValueError(
                f"expected one prompt per picture, found {len(prompts)} prompts for "
                f"{len(pictures)} pictures"
            )
        seen = self.probabilities(pictures)
        rows = [
            {"picture": index, "attribute": name, **row}
            for index, prompt in enumerate(prompts)
            for name, said in judge_prompt.parse(prompt, meaning).items()
            for row in judge_prompt.compare(name, said, seen[name][index])
        ]
        return pl.DataFrame(rows, schema=judge_prompt.DETAIL_SCHEMA)

    def agreement(
        self,
        pictures: np.ndarray,
        prompts: Sequence[str],
        meaning: Mapping[str, world.Character] | None = None,
    ) -> np.ndarray:
        """Tell how much of each prompt its picture shows.

        Returns
        -------
        np.ndarray, shape (n,), float64
            Share of the words that a prompt names which are right (see `details`), in [0, 1];
            NaN where a prompt names nothing that can be judged.
        """
        return judge_prompt.agreement_of(self.details(pictures, prompts, meaning), len(pictures))

    def says_character(
        self,
        pictures: np.ndarray,
        *,
        species: str | None = None,
        colour: str | None = None,
        garment: str | None = None,
    ) -> np.ndarray:
        """Tell how probably somebody such is seen.

        Parameters
        ----------
        pictures : np.ndarray, shape (n, height, width, 3), uint8
        species, colour : str, optional
            Words of `world`; None: any.
        garment : str, optional
            ``"overalls"`` or ``"teal overalls"`` or ``"none"``.

        Returns
        -------
        np.ndarray, shape (n,), float64
            Product of the probabilities asked for, in [0, 1]: it takes them as independent, and of
            two figures it does not say which of them has the colour.

        Raises
        ------
        ValueError
            If a word is unknown to the judge, or none is given.
        """
        asked = {"species": species, "colour": colour, "garment": garment}
        if garment and " " in garment:
            asked["wear_colour"], asked["garment"] = garment.split(" ", 1)
        asked = {name: word for name, word in asked.items() if word is not None}
        if not asked:
            raise ValueError("expected a species, a colour or a garment, found none")
        for name, word in asked.items():
            if word not in self.words[name]:
                raise ValueError(
                    f"{name}: expected one of {', '.join(self.words[name])}, found {word!r}"
                )
        seen = self.probabilities(pictures)
        chances = [seen[name][:, self.words[name].index(word)] for name, word in asked.items()]
        return np.prod(np.stack(chances).astype(np.float64), axis=0)


def save(folder: Path, net: Any, config: dict[str, Any]) -> None:
    """Write a judge that `ToyJudge.load` reads: fp16 safetensors, and `config` beside the words."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    half = {
        name: part.half().contiguous() if part.is_floating_point() else part
        for name, part in net.state_dict().items()
    }
    save_file(half, folder / WEIGHT_FILE)
    (folder / WEIGHT_FILE).chmod(0o644)  # the library writes it for its owner alone
    text = json.dumps({"words": judge_net.WORDS, **config}, indent=1)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8", newline="\n")


def _kind(name: str) -> Any:
    """Type of a stored part once loaded; batch normalisation counts its batches."""
    import torch

    return torch.int64 if name.endswith("num_batches_tracked") else torch.float32


def _check(pictures: np.ndarray) -> None:
    """Raise ValueError unless these are RGB pictures large enough."""
    is_rgb = pictures.ndim == 4 and pictures.shape[3] == 3 and pictures.dtype == np.uint8
    if not is_rgb or (len(pictures) and min(pictures.shape[1:3]) < SIDE_MIN_PX):
        raise ValueError(
            f"expected uint8 RGB of shape (n, height, width, 3), {SIDE_MIN_PX} pixels a side or "
            f"more, found {pictures.dtype} of shape {pictures.shape}"
        )


def _fit(picture: np.ndarray) -> np.ndarray:
    """The middle square at the network's size."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    picture = picture[top : top + side, left : left + side]
    size = judge_net.INPUT_PX
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return cv2.resize(picture, (size, size), interpolation=how)


def _probability(name: str, logits: Any) -> np.ndarray:
    """Softmax where words exclude one another, else a sigmoid each."""
    chances = logits.softmax(dim=1) if name in judge_net.SINGLE_CHOICE else logits.sigmoid()
    return chances.numpy()
