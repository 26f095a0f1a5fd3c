"""Train all of EfficientNet-Lite0 and the head of `figure_embedding` on drawings by people.

    python train_network.py draw --pictures PICTURES --places PLACES --out FILMS --films 4000
    python train_network.py fit --films FILMS --checkpoint FOLDER --steps 1500 --hours 2
    python train_network.py export --checkpoint FOLDER --films FILMS --out WEIGHTS --share 0.7

`draw` keeps windows of made-up films: four in five of drawings that `collect.py` fetched
(`drawing.film`), every fifth of creatures that a script draws (`creature.film`). `fit` starts from
the packaged network and head and stops after `--steps` or `--hours`; called again it goes on
where it was: the checkpoint has weights, their running mean, the optimiser and the number of the
step, of which alone the order of films depends. It is written every few minutes and replaced whole.
A GPU is used where there is one. `export` writes the network and its head, mixed with where they
started by `--share` (Wortsman et al. 2022: weights between both know the old world as well).

Loss: supervised contrast (Khosla et al. 2020) over all windows of some films, of which a drawing
with a single view has several made from it; ArcFace (Deng et al. 2019) over all identities that
people drew; whether a window shows a figure; and the same contrast on the last layer's mean, which
is compared as well.
"""

import argparse
import math
import time
from pathlib import Path

import creature
import cv2
import drawing
import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from safetensors.numpy import load_file, save_file
from torch import nn
from torch.nn import functional

from bunny.character.drawn import efficientnet, figure_embedding
from bunny.core import atomic

HIDDEN = 192  # numbers of the head's hidden layer
SHRINKAGE = 0.1  # share of the mean variance added when the strongest directions are equalised
EMPTY_WEIGHT = 0.2  # weight of a window without a figure in the figureness loss
NUM_FIGURES, NUM_VIEWS = 8, 3  # in a film, with as many windows without anybody as views
SIZES = (128, 128, 160)  # sides of windows in pixels
CREATURES_EVERY = 5
TEMPERATURE, LAST_TEMPERATURE = 0.08, 0.1
RATE, HEAD_RATE, DECAY, WARM_STEPS = 2e-4, 6e-4, 1e-2, 30
KEPT = 0.99  # share of the running mean of weights kept at each step
SAVE_S = 180.0
ARC_SCALE, ARC_MARGIN = 32.0, 0.3


def main() -> None:
    """Run the step that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    step = parser.add_subparsers(dest="step", required=True)
    one = step.add_parser("draw")
    one.add_argument("--pictures", type=Path, required=True)
    one.add_argument("--places", type=Path, required=True)
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--films", type=int, default=4000)
    one.add_argument("--first", type=int, default=0, help="number of the first film")
    one.add_argument("--left-out", default=r"^$", help="pattern of sources held out")
    one.add_argument("--without", nargs="*", default=[], help="see drawing.film")
    two = step.add_parser("fit")
    two.add_argument("--films", type=Path, nargs="+", required=True, help="folders of films")
    two.add_argument("--checkpoint", type=Path, required=True)
    two.add_argument("--steps", type=int, default=1500)
    two.add_argument("--hours", type=float, default=1e9, help="of this call")
    two.add_argument("--batch", type=int, default=5, help="films of a step")
    two.add_argument("--loss", choices=("contrast", "arcface", "both"), default="both")
    two.add_argument("--last-weight", type=float, default=0.5)
    two.add_argument("--figure-weight", type=float, default=0.3)
    two.add_argument("--empty-count", type=float, default=6.0, help="see contrast")
    two.add_argument("--frozen", type=int, default=0, help="first blocks kept, of 16; 16: all")
    two.add_argument("--kinds", choices=("all", "people", "creatures"), default="all")
    two.add_argument("--rate", type=float, default=RATE)
    three = step.add_parser("export")
    three.add_argument("--checkpoint", type=Path, required=True)
    three.add_argument("--films", type=Path, required=True, help="for the strongest directions")
    three.add_argument("--out", type=Path, required=True)
    three.add_argument("--share", type=float, default=1.0, help="0: as it started, 1: as trained")
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    cv2.setNumThreads(1)
    {"draw": draw, "fit": fit, "export": export}[wanted.step](wanted)


# -- films ------------------------------------------------------------------------------------


def draw(wanted: argparse.Namespace) -> None:
    """Draw films that are not there yet; each depends on its number alone."""
    drawings = drawing.find(wanted.pictures, wanted.places, wanted.left_out)
    wanted.out.mkdir(parents=True, exist_ok=True)
    for number in range(wanted.first, wanted.first + wanted.films):
        path = wanted.out / f"{number:06d}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng([13, number])
        size = int(rng.choice(SIZES))
        if number % CREATURES_EVERY == CREATURES_EVERY - 1:
            figure, empty = creature.film(rng, NUM_FIGURES, NUM_VIEWS, size)
            names = [f"creature/{number}-{k}" for k in range(NUM_FIGURES)]
        else:
            counts = NUM_FIGURES, NUM_VIEWS, size
            figure, empty, names = drawing.film(rng, drawings, *counts, frozenset(wanted.without))
        draft = path.with_suffix(".draft.npz")
        np.savez(draft, figure=figure, empty=empty, names=np.array(names))
        atomic.replace(draft, path)


def list_films(folders: list[Path], kinds: str = "all") -> list[Path]:
    """Films in order of their numbers; of people's drawings or creatures alone where asked for."""
    paths = sorted(p for one in folders for p in one.glob("*.npz") if p.stem.isdigit())
    if kinds == "all":
        return paths
    is_creature = kinds == "creatures"
    return [p for p in paths if (int(p.stem) % CREATURES_EVERY == 4) == is_creature]


# -- network ----------------------------------------------------------------------------------


class Network(nn.Module):
    """EfficientNet-Lite0 with the layers that `EfficientNet.map_layers` gives, and the head."""

    def __init__(self, frozen: int = 0) -> None:
        super().__init__()
        self.net = EfficientNet.from_name("efficientnet-lite0")
        weights = load_file(figure_embedding.FOLDER / figure_embedding.NET_FILE)
        state = {
            name: torch.from_numpy(value.astype(np.float32)) for name, value in weights.items()
        }
        self.net.load_state_dict(state, strict=False)  # without counters and the last layer
        del self.net._fc
        wide = efficientnet.LAYERS + figure_embedding.BINS**3
        self.head = nn.ModuleDict(
            {
                "hidden": nn.Linear(wide, HIDDEN),
                "vector": nn.Linear(HIDDEN, figure_embedding.HEAD, bias=False),
                "weight": nn.Linear(HIDDEN, 1),
                "figure": nn.Linear(HIDDEN, 1),
            }
        )
        known = load_file(figure_embedding.FOLDER / figure_embedding.HEAD_FILE)
        state = {f"{name}.{part}": None for name in self.head for part in ("weight", "bias")}
        state = {
            name: torch.from_numpy(known[name].astype(np.float32))
            for name in state
            if name in known
        }
        self.head.load_state_dict(state)
        self.register_buffer("mean", torch.zeros(wide))
        self.register_buffer("deviation", torch.ones(wide))
        self.frozen = frozen
        self.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def set_scale(self, cells: torch.Tensor) -> None:
        """Measure the features' scale and take it out of the hidden layer, whose result stays."""
        self.mean = cells.mean(0)
        deviation = cells.std(0)
        self.deviation = deviation + 0.05 * deviation.mean() + 1e-3
        hidden = self.head["hidden"]
        hidden.bias.copy_(hidden.bias + hidden.weight @ self.mean)
        hidden.weight.copy_(hidden.weight * self.deviation)

    def map_cells(self, images: np.ndarray) -> torch.Tensor:
        """Windows (n, side, side, 3), uint8, BGR, as cells (n, rows, columns, features)."""
        device = self.mean.device
        rgb = torch.from_numpy(np.ascontiguousarray(images[..., ::-1])).to(device)
        x = (rgb.permute(0, 3, 1, 2).float() - efficientnet.MEAN) / efficientnet.SCALE
        x, net = x.contiguous(memory_format=torch.channels_last), self.net
        is_trained, middle = torch.is_grad_enabled(), []
        with torch.set_grad_enabled(is_trained and self.frozen == 0):
            x = net._swish(net._bn0(net._conv_stem(x)))
        for index, block in enumerate(net._blocks):
            with torch.set_grad_enabled(is_trained and index >= self.frozen):
                x = block(x)
            if index == efficientnet.MIDDLE_BLOCK:
                middle = [functional.avg_pool2d(x, 2), functional.max_pool2d(x, 2)]
        last = net._swish(net._bn1(net._conv_head(x)))
        layers = torch.cat([last, x, *middle], 1).permute(0, 2, 3, 1)
        colour = [figure_embedding.count_colours(one, *layers.shape[1:3]) for one in images]
        return torch.cat([layers, torch.from_numpy(np.stack(colour)).to(device)], -1)

    def describe(self, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Vectors of unit length (n, HEAD), logits of figureness (n,), last layers (n, 1280)."""
        flat = cells.flatten(1, 2)
        hidden = functional.relu(self.head["hidden"]((flat - self.mean) / self.deviation))
        amount = functional.softplus(self.head["weight"](hidden))
        vector = functional.normalize((self.head["vector"](hidden) * amount).sum(1), dim=1)
        figure = self.head["figure"](hidden).mean(1)[:, 0]
        return vector, figure, flat[..., : efficientnet.DIMENSION].mean(1)


# -- training ---------------------------------------------------------------------------------


def fit(wanted: argparse.Namespace) -> None:
    """Train until the last step or the end of the time."""
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    films = list_films(wanted.films, wanted.kinds)
    start, path = 0, wanted.checkpoint / "checkpoint.pt"
    wanted.checkpoint.mkdir(parents=True, exist_ok=True)
    model = Network(wanted.frozen).eval()  # batch norms keep ImageNet's statistics
    if not path.exists():
        with torch.no_grad():
            some = [_read(one)[0] for one in films[:: max(1, len(films) // 12)]]
            model.set_scale(torch.cat([model.map_cells(one[::3]).flatten(0, 2) for one in some]))
        torch.save({"model": model.state_dict()}, wanted.checkpoint / "start.pt")
    model.to(device)
    classes = _classes(films) if wanted.loss != "contrast" else {}
    arc = nn.Parameter(0.1 * torch.randn(max(1, len(classes)), figure_embedding.HEAD).to(device))
    groups = [
        {"params": list(model.net.parameters()), "rate": wanted.rate},
        {"params": [*model.head.parameters(), arc], "rate": HEAD_RATE},
    ]
    if wanted.frozen == len(model.net._blocks):
        groups = groups[1:]  # the head alone
    optimizer = torch.optim.AdamW(groups, wanted.rate, weight_decay=DECAY)
    averaged = {name: value.detach().clone() for name, value in model.state_dict().items()}
    if path.exists():
        kept = torch.load(path, map_location=device, weights_only=True)
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        averaged, start = kept["averaged"], kept["step"]
        for name, row in zip(kept["classes"], kept["arc"], strict=True):
            if name in classes:  # other films may show other identities
                arc.data[classes[name]] = row
        for one in [p for p, kept in optimizer.state.items() if kept["exp_avg"].shape != p.shape]:
            del optimizer.state[one]

    def save(step: int) -> None:
        draft = path.with_suffix(".draft")
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "arc": arc.data}
        more = {"averaged": averaged, "step": step, "classes": list(classes)}
        torch.save({**state, **more}, draft)
        atomic.replace(draft, path)

    began = saved = time.monotonic()
    losses = []
    for step in range(start, wanted.steps):
        for group in optimizer.param_groups:
            warm = min(1, (step + 1) / WARM_STEPS)
            group["lr"] = group["rate"] * warm * 0.5 * (1 + math.cos(math.pi * step / wanted.steps))
        loss = _loss(model, arc, classes, _batch(films, step, wanted.batch), wanted, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        keep = min(KEPT, (step + 1) / (step + 10))
        for name, value in model.state_dict().items():
            averaged[name].lerp_(value, 1 - keep) if value.is_floating_point() else None
        now = time.monotonic()
        if step % 20 == 19:
            rate = (step + 1 - start) / (now - began)
            print(f"{step + 1} loss {np.mean(losses[-20:]):.3f}, {rate:.2f} steps/s", flush=True)
        if now - began > wanted.hours * 3600:
            break
        if now - saved > SAVE_S:
            save(step + 1)
            saved = now
    save(start + len(losses))


def _batch(films: list[Path], step: int, count: int) -> list[Path]:
    """The films of a step; each comes once before any comes again."""
    each = len(films) // count
    epoch, place = divmod(step, each)
    order = np.random.default_rng([17, epoch]).permutation(len(films))
    return [films[i] for i in order[place * count : (place + 1) * count]]


def _read(path: Path) -> tuple[np.ndarray, list[str]]:
    """Windows of a film and whom each shows; windows without anybody have empty names."""
    with np.load(path) as kept:
        figure, empty, names = kept["figure"], kept["empty"], kept["names"]
    views = np.concatenate([figure.reshape(-1, *figure.shape[2:]), empty])
    return views, [*np.repeat(names, figure.shape[1]).tolist(), *[""] * len(empty)]


def _cells(model: Network, path: Path, images: np.ndarray) -> torch.Tensor:
    """Cells of a film; kept beside it where the whole network stays as it is."""
    if model.frozen < len(model.net._blocks):
        return model.map_cells(images)
    kept = path.with_suffix(".cells.npy")
    if not kept.exists():
        draft = path.with_suffix(".draft.npy")
        with torch.no_grad():
            np.save(draft, model.map_cells(images).cpu().numpy().astype(np.float16))
        atomic.replace(draft, kept)
    return torch.from_numpy(np.load(kept)).float().to(model.mean.device)


def _classes(films: list[Path]) -> dict[str, int]:
    """Numbers of the identities that come back in other films."""
    names = {str(name) for path in films for name in np.load(path)["names"]}
    known = sorted(n for n in names if not n.startswith("creature/") and n[-1] != "+")
    return {name: i for i, name in enumerate(known)}


def _loss(model, arc, classes, paths: list[Path], wanted, step: int) -> torch.Tensor:
    """Loss of one batch of films."""
    rng = np.random.default_rng([19, step])
    vectors, chances, lasts, said = [], [], [], []
    for number, path in enumerate(paths):
        images, own = _read(path)
        cells = _cells(model, path, images)
        if cells.shape[1] > 4:
            top, bottom, left, right = rng.integers(0, 2, 4)
            rows, columns = cells.shape[1:3]
            cells = cells[:, top : rows - bottom, left : columns - right]
        vector, chance, last = model.describe(cells)
        vectors.append(vector)
        chances.append(chance)
        lasts.append(functional.normalize(last - last.mean(0).detach(), dim=1))
        said += [f"{n}{number}" if n.endswith("+") else n for n in own]  # doubles are of one film
    number_of = {name: i for i, name in enumerate(dict.fromkeys(said))}
    names = [number_of[n] if n else -1 - k for k, n in enumerate(said)]
    vector, name = torch.cat(vectors), torch.tensor(names, device=arc.device)
    shown = (name >= 0).float()
    figure = functional.binary_cross_entropy_with_logits(
        torch.cat(chances), shown, pos_weight=torch.tensor(EMPTY_WEIGHT, device=arc.device)
    )
    total = wanted.figure_weight * figure
    if wanted.last_weight:
        alike = contrast(torch.cat(lasts), name, LAST_TEMPERATURE, wanted.empty_count)
        total = total + wanted.last_weight * alike
    known = [i for i, one in enumerate(said) if one in classes]
    if known:
        truth = torch.tensor([classes[said[i]] for i in known], device=arc.device)
        total = total + arcface(vector[known], arc, truth)
    compared = [i for i, n in enumerate(said) if wanted.loss != "arcface" or n not in classes]
    part = vector[compared], name[compared]
    return total + contrast(*part, TEMPERATURE, wanted.empty_count)


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


def arcface(vector: torch.Tensor, weight: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Additive angular margin (Deng et al. 2019) of unit vectors over all identities."""
    cosine = (vector @ functional.normalize(weight, dim=1).T).clamp(-0.999, 0.999)
    angle = torch.acos(cosine.gather(1, truth[:, None])) + ARC_MARGIN
    logits = cosine.scatter(1, truth[:, None], torch.cos(angle))
    return functional.cross_entropy(ARC_SCALE * logits, truth) / 4


# -- weights ----------------------------------------------------------------------------------


def export(wanted: argparse.Namespace) -> None:
    """Write the network (float16, under the names of the packaged one) and the head."""
    start = torch.load(wanted.checkpoint / "start.pt", weights_only=True)["model"]
    kept = torch.load(wanted.checkpoint / "checkpoint.pt", weights_only=True, map_location="cpu")
    mixed = {
        name: torch.lerp(value, kept["averaged"][name].cpu(), wanted.share)
        if value.is_floating_point()
        else value
        for name, value in start.items()
    }
    model = Network()
    model.load_state_dict(mixed)
    model.eval()
    halves = {
        name: np.ascontiguousarray(value.numpy().astype(np.float16))
        for name, value in model.net.state_dict().items()
        if value.is_floating_point()
    }
    wanted.out.mkdir(parents=True, exist_ok=True)
    path = wanted.out / figure_embedding.NET_FILE
    save_file(halves, path, metadata={"made by": "python_script/figure_embedding"})
    films = list_films([wanted.films])
    with torch.no_grad():
        some = [_read(path)[0] for path in films[:: max(1, len(films) // 60)]]
        cells = [model.map_cells(one[::2]).numpy() for one in some]
    scale = (one.numpy() for one in (model.mean, model.deviation))
    print(f"step {kept['step']}, {path.name}: {path.stat().st_size / 1e6:.1f} MB")
    write_head(dict(model.head), *scale, cells, wanted.out)


def write_head(layer, mean: np.ndarray, deviation: np.ndarray, films: list, out: Path) -> None:
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
    path = out / figure_embedding.HEAD_FILE
    save_file(halves, path, metadata={"made by": "python_script/figure_embedding"})
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB; now make the bank anew (bank.py)")


if __name__ == "__main__":
    main()
