"""Proof of the exports: each trainer's own dataset code run on a folder that we wrote.

The trainers are read from checkouts beside the project and are no part of it. Each format's loader
gives, of every file, the frames and the size that the trainer would train on; they are compared
with what `preview_folder` said beforehand. Run by hand, with the trainer's small requirements at
hand (toml, voluptuous, einops, imageio-ffmpeg, decord):

    python python_script/check_trainer_formats.py --trainer-dir /path/to/checkouts

`--trainer-dir` holds `musubi-tuner`, `diffusion-pipe`, `ai-toolkit`, `SimpleTuner`,
`DiffSynth-Studio`, `LTX-2` and `finetrainers`. What cannot be loaded is said with its reason.
`--empty` names libraries that the dataset code imports and does not use (audio, logging, those of
the models); they are put in as modules without content, and the result says so.
"""

import argparse
import importlib
import importlib.util
import json
import shlex
import subprocess
import sys
import tempfile
import traceback
import types
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from bunny.trainer_format.check import clip_preview
from bunny.trainer_format.export import configuration, media
from bunny.trainer_format.export.media import TrainingClip, TrainingPair, TrainingStill

FOLDER = {
    "musubi": "musubi-tuner",
    "diffusion-pipe": "diffusion-pipe",
    "ai-toolkit": "ai-toolkit",
    "simpletuner": "SimpleTuner",
    "diffsynth": "DiffSynth-Studio",
    "ltx": "LTX-2",
    "finetrainers": "finetrainers",
}
SIZES = ((33, (128, 96)), (33, (128, 96)), (49, (96, 128)), (81, (128, 96)))


def write_clip(path: Path, frames: int, size: tuple[int, int], fps: int = 16) -> Path:
    """An H.264 clip; frame n has a red value of 3 * n."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "1"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), 20, np.uint8)
            picture[..., 0] = 3 * number
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_export(form: str, place: Path, source: Path, what: str) -> Path:
    """A folder of clips with a still, or of pairs, in one format."""
    place.mkdir(parents=True)
    if what == "clips":
        clips = []
        for number, (frames, size) in enumerate(SIZES):
            file = write_clip(source / f"clip{number}.mp4", frames, size)
            facts = {"width_px": size[0], "height_px": size[1], "num_frames": frames}
            clips.append(TrainingClip(file=file, caption=f"anna walks {number}", fps=16.0, **facts))
        file = write_picture(source / "still0.png", (96, 64))
        still = TrainingStill(file=file, caption="anna", width_px=96, height_px=64)
        folders = media.write_clips(place, clips, [still])
    else:
        pairs = [write_pair(source, number) for number in range(3)]
        folders = media.write_pairs(place, pairs, configuration.MAX_REFERENCES[form])
    for name, text in configuration.WRITERS[form](folders, place).items():
        (place / name).write_text(text + "\n", encoding="utf-8", newline="\n")
    return place


def write_picture(path: Path, size: tuple[int, int]) -> Path:
    """A grey picture."""
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), 90, np.uint8))
    return path


def write_pair(source: Path, number: int) -> TrainingPair:
    """A target with one or two references of other sizes."""
    target = write_picture(source / f"target{number}.png", (128, 96))
    references = [
        write_picture(source / f"reference{number}-{i}.png", (96, 96))
        for i in range(1 + number % 2)
    ]
    return TrainingPair(
        pair_id=f"pair-{number:04d}",
        kind="reference",
        target=target,
        references=tuple(references),
        instruction=f"anna in a room {number}",
        width_px=128,
        height_px=96,
    )


# -- the trainers' own code: (frames, width, height, references) of each sample ------------------

Sample = tuple[int, int, int, int]


def load_musubi(place: Path, checkout: Path, what: str) -> list[Sample]:
    """`BlueprintGenerator`, then what the latent caching gets."""
    sys.path.insert(0, str(checkout / "src"))
    config = importlib.import_module("musubi_tuner.dataset.config_utils")
    architecture = "wan" if what == "clips" else "f2d"
    generator = config.BlueprintGenerator(config.ConfigSanitizer())
    import toml

    user = toml.load(place / "dataset.toml")
    blueprint = generator.generate(user, argparse.Namespace(), architecture=architecture)
    group = config.generate_dataset_group_by_blueprint(blueprint.dataset_group)
    samples = []
    for dataset in group.datasets:
        for _, batch in dataset.retrieve_latent_cache_batches(2):
            for item in batch:
                content = item.content if isinstance(item.content, np.ndarray) else item.content[0]
                number = len(content) if content.ndim == 4 else 1
                controls = item.control_content
                samples.append(
                    (
                        number,
                        content.shape[-2],
                        content.shape[-3],
                        0 if controls is None else len(controls),
                    )
                )
    return samples


def load_diffsynth(place: Path, checkout: Path, what: str) -> list[Sample]:
    """`UnifiedDataset` with the operators of its training scripts."""
    sys.path.insert(0, str(checkout))
    module = load_file(checkout / "diffsynth/core/data/unified_dataset.py", "diffsynth_data")
    kind = module.UnifiedDataset
    if what == "clips":
        operator = kind.default_video_operator(
            base_path=str(place), max_pixels=128 * 96, num_frames=81
        )
        made = kind(
            str(place), str(place / "metadata.csv"), 1, ("video",), main_data_operator=operator
        )
        rows = [made[i]["video"] for i in range(len(made))]
        return [(len(row), *row[0].size, 0) for row in rows]
    operator = kind.default_image_operator(base_path=str(place), max_pixels=128 * 96)
    keys = ("image", "edit_image")
    made = kind(str(place), str(place / "metadata.json"), 1, keys, main_data_operator=operator)
    return [(1, *made[i]["image"].size, len(made[i]["edit_image"])) for i in range(len(made))]


def load_ltx(place: Path, checkout: Path, what: str) -> list[Sample]:
    """`MediaDataset` of `process_videos.py`."""
    package = checkout / "packages"
    for name in ("ltx-trainer/src", "ltx-core/src", "ltx-pipelines/src", "ltx-trainer/scripts"):
        sys.path.insert(0, str(package / name))
    module = importlib.import_module("process_videos")
    words = shlex.split((place / "arguments.txt").read_text(encoding="utf-8"))
    text = words[words.index("--resolution-buckets") + 1]
    buckets = module.parse_resolution_buckets(text)
    column = "video"
    made = module.MediaDataset(place / "dataset.json", column, column, buckets)
    others = [0] * len(made)
    if what == "pairs":
        refs = module.MediaDataset(place / "dataset.json", column, "reference_video", buckets)
        others = [int(refs[i]["video"].shape[1] == 1) for i in range(len(refs))]
    facts = [made[i]["video_metadata"] for i in range(len(made))]
    return [
        (f["num_frames"], f["width"], f["height"], n) for f, n in zip(facts, others, strict=True)
    ]


def load_finetrainers(place: Path, checkout: Path, what: str) -> list[Sample]:
    """`initialize_dataset` and the preprocessing wrapper."""
    for name in ("finetrainers", "finetrainers.data"):  # their `__init__` load all models
        package = types.ModuleType(name)
        package.__path__ = [str(checkout / name.replace(".", "/"))]
        sys.modules[name] = package
    data = importlib.import_module("finetrainers.data.dataset")
    samples = []
    for entry in json.loads((place / "training.json").read_text(encoding="utf-8"))["datasets"]:
        root, kind = entry.pop("data_root"), entry.pop("dataset_type")
        made = data._initialize_local_dataset(root, kind)
        for sample in data.wrap_iterable_dataset_for_preprocessing(made, kind, entry):
            tensor = sample[kind]
            number = tensor.shape[0] if kind == "video" else 1
            samples.append((number, tensor.shape[-1], tensor.shape[-2], 0))
    return samples


def load_file(path: Path, package: str):
    """A module of a package whose own `__init__` asks for more than its data code needs."""
    spec = importlib.util.spec_from_file_location(
        package, path.parent / "__init__.py", submodule_search_locations=[str(path.parent)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    return importlib.import_module(f"{package}.{path.stem}")


def load_ai_toolkit(place: Path, checkout: Path, what: str) -> list[Sample]:
    """`AiToolkitDataset` with a stand-in for the model that says sizes are multiples of 16."""
    import yaml

    sys.path.insert(0, str(checkout))
    loader = importlib.import_module("toolkit.data_loader")
    modules = importlib.import_module("toolkit.config_modules")
    model = types.SimpleNamespace(
        get_bucket_divisibility=lambda: 16,
        use_raw_control_images=True,
        temporal_compression=4,
        is_xl=False,
        is_vega=False,
        model_config=types.SimpleNamespace(latent_space_version="wan21"),
        vae=types.SimpleNamespace(),
        unet=types.SimpleNamespace(),
        encode_control_in_text_embeddings=False,
        text_embedding_space_version="wan21",
        te_padding_side="right",
        get_frame_count_snapper=lambda: None,
    )
    samples = []
    for entry in yaml.safe_load((place / "datasets.yaml").read_text(encoding="utf-8"))["datasets"]:
        made = loader.AiToolkitDataset(modules.DatasetConfig(**entry), batch_size=1, sd=model)
        made.setup_epoch()
        for item in made.file_list:
            item.load_and_process_image(made.transform)
            shape = tuple(item.tensor.shape)
            number = shape[0] if len(shape) == 4 else 1
            control = item.control_path
            own = 0 if control is None else len(control) if isinstance(control, list) else 1
            samples.append((number, shape[-1], shape[-2], own))
    return samples


def load_diffusion_pipe(place: Path, checkout: Path, what: str) -> list[Sample]:
    """`DirectoryDataset` and its size buckets, then `PreprocessMediaFile`."""
    sys.path.insert(0, str(checkout))
    module = importlib.import_module("utils.dataset")
    base = importlib.import_module("models.base")
    import toml

    said = toml.load(place / "dataset.toml")
    read = base.PreprocessMediaFile({}, support_video=True, framerate=16)
    samples = []
    for directory in said["directory"]:
        made = module.DirectoryDataset(directory, said, "wan", framerate=16)
        made.cache_metadata()
        for bucket in made.get_size_bucket_datasets():
            for row in bucket.metadata_dataset:
                clip = read(row["image_spec"], None, tuple(bucket.size_bucket))[0][0]
                number = int("control_file" in row)
                samples.append((clip.shape[-3], clip.shape[-1], clip.shape[-2], number))
    return samples


def load_simpletuner(place: Path, checkout: Path, what: str) -> list[Sample]:
    """Its video frame rule, metadata backend and size calculation."""
    sys.path.insert(0, str(checkout))
    importlib.import_module("simpletuner.helpers.metadata.backends.discovery")
    raise RuntimeError("the backends need a started trainer (model, accelerator, state tracker)")


LOADERS = {
    "musubi": load_musubi,
    "diffusion-pipe": load_diffusion_pipe,
    "ai-toolkit": load_ai_toolkit,
    "simpletuner": load_simpletuner,
    "diffsynth": load_diffsynth,
    "ltx": load_ltx,
    "finetrainers": load_finetrainers,
}


class EmptyModule(types.ModuleType):
    """A module of which every name is a class without content."""

    __path__: list[str] = []

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class EmptyFinder:
    """Finds the named modules, and all below them, without content."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path=None, target=None):
        """A spec for one of the names."""
        if not any(name == n or name.startswith(f"{n}.") for n in self.names):
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec):
        """An empty module."""
        return EmptyModule(spec.name)

    def exec_module(self, module) -> None:
        """Nothing to run."""


def expected_samples(form: str, what: str) -> Counter:
    """What was written: frames, width, height and references of each."""
    if what == "clips":
        return Counter([*((f, *size, 0) for f, size in SIZES), (1, 96, 64, 0)])
    most = configuration.MAX_REFERENCES[form]
    return Counter((1, 128, 96, min(1 + number % 2, most)) for number in range(3))


def check(form: str, trainer_dir: Path, what: str) -> str:
    """One line on one format."""
    checkout = trainer_dir / FOLDER[form]
    if not checkout.is_dir():
        return f"no checkout at {checkout}"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        place = write_export(form, Path(folder) / "export", source, what)
        said = clip_preview.preview_folder(place, form)
        try:
            loaded = Counter(LOADERS[form](place, checkout, what))
        except Exception as error:  # noqa: BLE001  the trainer's own code may raise anything
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            return f"does not run here: {type(error).__name__}: {error} ({where})"
    wanted = expected_samples(form, what)
    number = sum(loaded.values())
    line = f"written {sum(wanted.values())}, loaded {number}, promised {said.count('kept')} kept"
    if loaded == wanted and said.count("kept") == number:
        return f"{line}; frames, sizes and references as written: yes"
    return f"{line}; differs: loaded {sorted(loaded.items())}, written {sorted(wanted.items())}"


def main() -> None:
    """Check each format in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trainer-dir", type=Path, required=True)
    parser.add_argument("--format", choices=list(LOADERS))
    parser.add_argument("--what", choices=("clips", "pairs"), default="clips")
    parser.add_argument("--empty", default="", help="Libraries put in empty, with commas.")
    arguments = parser.parse_args()
    empty = [name for name in arguments.empty.split(",") if name]
    sys.meta_path.insert(0, EmptyFinder(empty))
    if arguments.format:
        told = f" (empty: {', '.join(empty)})" if empty else ""
        print("RESULT", check(arguments.format, arguments.trainer_dir, arguments.what) + told)
        return
    for what in ("clips", "pairs"):
        for form in LOADERS:
            if what == "pairs" and not configuration.MAX_REFERENCES[form]:
                continue
            words = [sys.executable, __file__, "--trainer-dir", str(arguments.trainer_dir)]
            words += ["--format", form, "--what", what, "--empty", arguments.empty]
            done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
            lines = [x for x in done.stdout.splitlines() if x.startswith("RESULT ")]
            told = lines[-1].removeprefix("RESULT ") if lines else done.stderr.strip()[-300:]
            print(f"{what:5} {form:14} {told}", flush=True)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
