"""Train the head of `bunny.character.drawn.figure_embedding` on drawn creatures.

    python python_script/figure_embedding/train.py describe --out CELLS --films 500 --part 0
    python python_script/figure_embedding/train.py fit --cells CELLS --steps 800

`describe` draws made-up films (`creature.film`), describes their windows by the network and keeps
the cells; two processes with two parts on two cores took 12 minutes for 1,000 films. `fit` trains
the head on them (4 minutes on one core) and writes it into the package. The network itself stays as
it is. Loss: InfoNCE over all windows of 24 films at temperature 0.08 (van den Oord 2018, with every
view of a figure as a positive: Khosla 2020), windows without a figure are negatives only; beside it
cross-entropy of whether there is a figure.
"""

import argparse
import math
from pathlib import Path

import creature
import cv2
import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch.nn import functional

from bunny.character.drawn import efficientnet, figure_embedding

NUM_FIGURES, NUM_VIEWS = 8, 3  # of a film; as many windows without anybody as views
SIZES = (128, 160, 160, 192)  # sides of windows in pixels
TEMPERATURE, FIGURE_WEIGHT, EMPTY_WEIGHT = 0.08, 0.3, 0.2
HIDDEN, RATE, DECAY = 192, 1e-3, 1e-2
SHRINKAGE = 0.1  # of the mean variance, added where the strongest directions are made equal


def main() -> None:
    """Run the step that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    step = parser.add_subparsers(dest="step", required=True)
    one = step.add_parser("describe")
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--films", type=int, default=500)
    one.add_argument("--part", type=int, default=0)
    two = step.add_parser("fit")
    two.add_argument("--cells", type=Path, required=True)
    two.add_argument("--steps", type=int, default=800)
    two.add_argument("--films", type=int, default=24, help="of a batch")
    two.add_argument("--out", type=Path, default=figure_embedding.FOLDER)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    describe(wanted) if wanted.step == "describe" else fit(wanted)


def describe(wanted: argparse.Namespace) -> None:
    """Draw films and keep the cells of their windows."""
    net = efficientnet.EfficientNet()
    wanted.out.mkdir(parents=True, exist_ok=True)
    for number in range(wanted.films):
        rng = np.random.default_rng([7, wanted.part, number])
        size = int(rng.choice(SIZES))
        figures, empty = creature.film(rng, NUM_FIGURES, NUM_VIEWS, size)
        windows = np.concatenate([figures.reshape(-1, size, size, 3), empty])
        cells = np.stack([_cells(net, one, size) for one in windows]).astype(np.float16)
        save_file({"cells": cells}, wanted.out / f"{wanted.part}-{number:05d}.safetensors")


def _cells(net: efficientnet.EfficientNet, image: np.ndarray, size: int) -> np.ndarray:
    layers = net.map_layers(image, size, size)
    colour = figure_embedding.count_colours(image, *layers.shape[:2])
    return np.concatenate([layers, colour], axis=-1)


def fit(wanted: argparse.Namespace) -> None:
    """Train the head and write it."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    films = [load_file(path)["cells"] for path in sorted(wanted.cells.glob("*.safetensors"))]
    sample = np.concatenate([one.reshape(-1, one.shape[-1])[::11] for one in films])
    mean, deviation = sample.mean(axis=0, dtype=np.float32), sample.std(axis=0, dtype=np.float32)
    deviation += 0.05 * deviation.mean() + 1e-3
    layer = {
        "hidden": torch.nn.Linear(len(mean), HIDDEN),
        "vector": torch.nn.Linear(HIDDEN, figure_embedding.HEAD, bias=False),
        "weight": torch.nn.Linear(HIDDEN, 1),
        "figure": torch.nn.Linear(HIDDEN, 1),
    }
    parameters = [p for one in layer.values() for p in one.parameters()]
    optimizer = torch.optim.AdamW(parameters, RATE, weight_decay=DECAY)
    scale = (torch.from_numpy(mean), torch.from_numpy(deviation))
    by_size: dict[int, list[int]] = {}
    for i, one in enumerate(films):
        by_size.setdefault(one.shape[1], []).append(i)
    for number in range(wanted.steps):
        for group in optimizer.param_groups:
            warm = min(1, (number + 1) / 30)
            group["lr"] = RATE * warm * 0.5 * (1 + np.cos(np.pi * number / wanted.steps))
        loss = _loss(layer, scale, films, by_size, wanted.films, rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number % 100 == 99:
            print(number + 1, f"{loss.item():.3f}", flush=True)
    export(layer, mean, deviation, films, wanted.out)


def _loss(layer, scale, films, by_size, num_films, rng) -> torch.Tensor:
    """Loss of one batch of films."""
    vectors, chances, names, shown = [], [], [], []
    first = 0
    for ids in by_size.values():
        count = max(1, round(num_films * len(ids) / len(films)))
        chosen = rng.choice(ids, min(count, len(ids)), replace=False)
        cells = _cut(np.stack([films[i] for i in chosen]), rng)
        cells = torch.from_numpy(np.ascontiguousarray(cells)).float()
        hidden = functional.relu(layer["hidden"]((cells - scale[0]) / scale[1]))
        amount = functional.softplus(layer["weight"](hidden))
        vectors.append(functional.normalize((layer["vector"](hidden) * amount).sum(1), dim=1))
        chances.append(layer["figure"](hidden).mean(1)[:, 0])
        for k in range(len(chosen)):
            start = first + k * NUM_FIGURES
            empty = -1 - (first + k) * NUM_VIEWS - np.arange(NUM_VIEWS)
            names += [*np.repeat(np.arange(start, start + NUM_FIGURES), NUM_VIEWS), *empty]
            shown += [1.0] * (NUM_FIGURES * NUM_VIEWS) + [0.0] * NUM_VIEWS
        first += len(chosen) * NUM_FIGURES
    alike = contrast(torch.cat(vectors), torch.tensor(np.array(names)), TEMPERATURE)
    figure = functional.binary_cross_entropy_with_logits(
        torch.cat(chances), torch.tensor(shown), pos_weight=torch.tensor(EMPTY_WEIGHT)
    )
    return alike + FIGURE_WEIGHT * figure


def contrast(
    vector: torch.Tensor, name: torch.Tensor, temperature: float, empty_count: float = 1.0
) -> torch.Tensor:
    """Supervised contrast of unit vectors (n, d); equal names (n,) are of one figure.

    Names below 0 are of windows without a figure; each counts as so many of them.
    """
    itself = torch.eye(len(vector), dtype=torch.bool, device=vector.device)
    similarity = (vector @ vector.T / temperature).masked_fill(itself, -1e4)
    similarity = similarity + (name < 0) * math.log(empty_count)
    is_same = (name[:, None] == name[None]) & ~itself
    chance = similarity - torch.logsumexp(similarity, 1, keepdim=True)
    has_other = is_same.any(1)
    return (-(chance * is_same).sum(1)[has_other] / is_same.sum(1)[has_other]).mean()


def _cut(cells: np.ndarray, rng) -> np.ndarray:
    """Films' cells as (windows, cells, features), a row or column left off at the edges."""
    rows = cells.shape[2]
    if rows > 4:
        top, bottom, left, right = rng.integers(0, 2, 4)
        cells = cells[:, :, top : rows - bottom, left : rows - right]
    return cells.reshape(cells.shape[0] * cells.shape[1], -1, cells.shape[-1])


def export(layer, mean: np.ndarray, deviation: np.ndarray, films: list, out: Path) -> None:
    """Write the head, its scale folded in, and the last layer's strongest directions."""
    last = np.concatenate(
        [
            one[..., : efficientnet.DIMENSION].mean(axis=(1, 2), dtype=np.float32)
            for one in films[::2]
        ]
    )
    variance, direction = np.linalg.eigh(np.cov((last - last.mean(axis=0)).T))
    variance, direction = variance[::-1], direction[:, ::-1]
    strong = variance[: figure_embedding.STRONG]
    state = {
        f"{name}.{part}": value.detach().numpy()
        for name, one in layer.items()
        for part, value in one.named_parameters()
    }
    state["hidden.bias"] = state["hidden.bias"] - state["hidden.weight"] @ (mean / deviation)
    state["hidden.weight"] = state["hidden.weight"] / deviation
    state["basis"] = direction[:, : figure_embedding.BASIS].T
    state["whiten"] = 1 / np.sqrt(strong + SHRINKAGE * strong.mean())
    halves = {name: np.ascontiguousarray(value.astype(np.float16)) for name, value in state.items()}
    path = out / "figure_embedding.safetensors"
    save_file(halves, path, metadata={"made by": "python_script/figure_embedding/train.py"})
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB; now make the bank anew (bank.py)")


if __name__ == "__main__":
    main()
