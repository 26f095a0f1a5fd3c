"""Fixtures shared by all tests."""

import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import filelock
import hypothesis
import look as kept_look
import pytest
import small_project as project_on_disk
import windows_rule

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores; theirs inherit it
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Models that somebody has downloaded change what detect finds; tests see none but their own.
os.environ["HF_HUB_CACHE"] = str(Path(tempfile.gettempdir()) / "bunny-test-without-hub-models")

hypothesis.settings.register_profile("any machine", deadline=None)  # speed belongs in benchmarks
hypothesis.settings.load_profile("any machine")

pytest_plugins = ["training_fixture"]  # of test/common: tiny bases and adapters

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")  # Debian's first
OWL_PX = 64
# Files of the second tier that take one to five minutes; the first makes the small project.
LONGEST = (
    "test_kill_anywhere.py",
    "browser/test_lab.py",
    "stage/test_extract_again.py",
    "stage/test_clip.py",
    "batch/test_ray_engine.py",
    "test_bad_machine.py",
    "command/test_forget.py",
    "test_run.py",
    "remote/test_streamed_film.py",
    "command/test_library_train.py",
    "remote/test_remote_clean.py",
    "stage/test_detect_medium.py",
    "test_planted_secret.py",
    "remote/test_remote_folder.py",
    "command/test_assist.py",
    "command/test_library_run.py",
    "test_several_writers.py",
)
MAX_PROCESSES = 8  # each takes about a gigabyte
# Tests that write, replace and delete files; see `windows_rule`.
AS_ON_WINDOWS = (
    "contract/",
    "table/",
    "stage/",
    "review/",
    "library/",
    "command/",
    *(f"core/test_{name}" for name in ("workspace", "config", "reference", "log", "file_name")),
    "trainer_format/export/",
    "dataset/test_add",
    "dataset/test_image_folder",
    "generation/",
    "training/adapter_file/",
    "training/test_trainer",
    "training/test_latent_batch",
    "training/test_training_data",
    "test_windows",
    "test_portable",
)
HERE = Path(__file__).resolve().parent
MATERIAL = (HERE.parents[1] / "shared" / "material").resolve()


def pytest_addoption(parser):
    """Let those who changed a figure or page keep its new look."""
    parser.addoption(
        "--renew-looks",
        action="store_true",
        help="write the pictures in test/view/baseline anew instead of comparing with them",
    )


def pytest_configure(config):
    """Leave out the second tier, unless it or some files are asked for by name."""
    if _is_whole_suite(config) and not config.option.markexpr:
        config.option.markexpr = "not slow"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Number of processes of `-n auto`: two per core, since tests wait; one for named files."""
    return min(2 * (os.cpu_count() or 1), MAX_PROCESSES) if _is_whole_suite(config) else 0


def _is_whole_suite(config):
    return config.args_source is not config.ArgsSource.ARGS


def pytest_collection_modifyitems(items):
    """Run the longest files first, to keep all processes busy until the end.

    One file makes the small project while the others run what does not need it.
    """
    using = list(dict.fromkeys(i.path for i in items if "small_project" in i.fixturenames))
    first = [HERE / name for name in LONGEST]
    if not any(path in using for path in first) and using:
        first.append(using[0])

    def place(item):
        if item.path in first:
            return first.index(item.path)
        return len(first) + (item.path in using)

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, files go to processes whole."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(scope="module", autouse=True)
def _windows(request, tmp_path_factory):
    """Tests that write files get the errors that Windows would give, where `/proc` can tell."""
    name = request.path.relative_to(Path(__file__).parent).as_posix()
    if not windows_rule.can_hold() or not name.startswith(AS_ON_WINDOWS):
        yield None
        return
    with windows_rule.holding(tmp_path_factory.getbasetemp(), depth=1) as rule:
        yield rule


@pytest.fixture(autouse=True)
def _as_on_windows(_windows, request):
    """A test, and what was made for it, does nothing that Windows refuses."""
    if _windows is None:
        yield
        return
    yield
    broken = _windows.take()
    if "tmp_path" in request.node.funcargs:
        broken += windows_rule.tree_faults(request.node.funcargs["tmp_path"])
    if broken:
        pytest.fail("Windows refuses this:\n" + "\n".join(broken), pytrace=False)


@pytest.fixture(autouse=True)
def _ordinary_priority():
    """SVT-AV1, run by root, leaves its caller with real-time priority: all others would starve."""
    yield
    if hasattr(os, "sched_setscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(scope="session")
def material() -> Path:
    """Real films and references; absent for most people."""
    if not MATERIAL.is_dir():
        pytest.skip("the folder of real films beside the checkout is absent")
    return MATERIAL


@pytest.fixture(scope="session")
def small_project(tmp_path_factory) -> project_on_disk.Project:
    """One small film on which every stage has run by the command line; tests only look at it."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return project_on_disk.make(tmp_path_factory.mktemp("project"))
    folder = tmp_path_factory.getbasetemp().parent / "project"  # of all processes together
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not (folder / project_on_disk.DONE).exists():
            return project_on_disk.make(folder)
    return project_on_disk.read(folder)


@pytest.fixture
def look(request, tmp_path, monkeypatch) -> kept_look.Look:
    """Compare a picture with the kept one of a name: `look("plot-shots", png)`."""
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "text.hinting", "none")  # letters as wide anywhere
    is_renewed = request.config.getoption("--renew-looks")
    return kept_look.Look(scratch=tmp_path, is_renewed=is_renewed)


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """A headless Chromium of the system, driven by Playwright; gives its `Browser`.

    Module-scoped, as is all that uses it: Playwright's synchronous interface keeps an event loop
    running in the main thread, which must be gone when other tests begin theirs.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        with contextlib.closing(browser):
            yield browser


@pytest.fixture
def bunny(monkeypatch, capsys, tmp_path):
    """Run a command line; gives (exit code, standard output, standard error).

    The first argument may have several words: `bunny("export clips --format kohya", film)`.
    """
    from bunny import cli

    monkeypatch.chdir(tmp_path)

    def call(first="", *arguments):
        monkeypatch.setattr(sys, "argv", ["bunny", *shlex.split(first), *map(str, arguments)])
        code = 0
        capsys.readouterr()  # what a test wrote while it prepared is not the command's
        before = signal.getsignal(signal.SIGINT)
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            signal.signal(signal.SIGINT, before)  # a stopped command leaves one that ends Python
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch):
    """Tests never see the settings of whoever runs them."""
    for name in list(os.environ):
        if name.startswith("BUNNY_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def guided_folders(tmp_path_factory):
    """Folders of an OWLv2 and a DINOv2 with random weights, by name; the first says a licence."""
    import torch

    torch.manual_seed(0)
    made = {name: tmp_path_factory.mktemp("model") / name for name in ("owl", "dino")}
    _save_detector(made["owl"])
    _save_embedder(made["dino"])
    (made["owl"] / "README.md").write_text("---\nlicense: apache-2.0\ntags: []\n---\n# Owl\n")
    return {name: str(path) for name, path in made.items()}


def _save_detector(folder):
    from transformers import Owlv2Config, Owlv2ForObjectDetection

    part = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = Owlv2Config(
        text_config={**part, "vocab_size": 99, "bos_token_id": 1, "eos_token_id": 2},
        vision_config={**part, "image_size": OWL_PX, "patch_size": 16},
        projection_dim=32,
    )
    net = Owlv2ForObjectDetection(config)
    head = net.class_head
    for layer in (net.box_head.dense2, head.logit_shift, head.logit_scale):
        layer.weight.data.zero_()  # random ones give boxes without area and chances of 0 or 1
        layer.bias.data.zero_()
    net.save_pretrained(folder)


def _save_embedder(folder):
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=56, patch_size=14
    )
    Dinov2Model(config).save_pretrained(folder)
