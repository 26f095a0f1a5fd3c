"""What is written is there whole, or as it was before: on a full disk and after a kill.

The kernel does both: it lets no file grow past half of what is written (`RLIMIT_FSIZE`), and
refuses the write, or kills the process inside it. A kill is also tried before every renaming and
removal of a file.
"""

import ast
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors import SafetensorError

from bunny.core import config
from bunny.core.error import UserError

if sys.platform == "win32":
    pytest.skip("needs limits of a process and SIGKILL", allow_module_level=True)

import full_disk

ROOT = Path(__file__).resolve().parents[2]
FILM = "film-00000000"
OLD, NEW = 1, 2


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Writes a version into a folder and reads back which is there; None: none that is whole."""

    write: Callable[[Path, int], object]
    read: Callable[[Path], int | None]
    is_folder: bool = False  # several files under one name: a kill may leave none, never a half


def _noise(version: int, num: int = 20_000) -> bytes:
    """Bytes that no compression makes small."""
    import numpy as np

    return np.random.default_rng(version).bytes(num)


def _version_of(data: bytes) -> int | None:
    return {_noise(v): v for v in (OLD, NEW)}.get(data)


def _write_table(folder, version):
    from bunny.table import store

    rows = [
        {"frame_id": f"f{i:04d}", "model": "m", "vector": list(_noise(version + 9 * i, 16))}
        for i in range(500)
    ]
    store.write(folder / "table", "embedding", store.from_rows("embedding", rows))


def _read_table(folder):
    from bunny.table import store

    table = store.read(folder / "table", "embedding")
    first = bytes(int(x) for x in table["vector"][0])
    return next((v for v in (OLD, NEW) if first == _noise(v, 16)), None)


def _write_bytes(folder, version):
    from bunny.core import atomic

    atomic.write_bytes(folder / "report.html", _noise(version))


def _write_settings(folder, version):
    prompts = [f"{version} {i} {'bunny ' * 9}" for i in range(40)]
    config.save_local(folder, FILM, "generation", {"prompts": prompts})


def _read_settings(folder):
    prompts = config.load(folder, film_id=FILM, environment={}).generation.prompts
    return int(prompts[0][0]) if len(prompts) == 40 else None


def _write_adapter(folder, version):
    import torch

    from bunny.training.adapter_file import safetensors_file

    tensors = {"a": torch.full((5000,), float(version)), "b": torch.zeros(3)}
    safetensors_file.write_file(folder / "adapter.safetensors", tensors, {"version": str(version)})


def _read_adapter(folder):
    from bunny.training.adapter_file import safetensors_file

    tensors = safetensors_file.read_tensors(folder / "adapter.safetensors")
    return int(tensors["a"].unique().item()) if tensors["a"].numel() == 5000 else None


def _write_checkpoint(folder, version):
    import torch

    from bunny.training import checkpoint

    checkpoint.save(folder, version, "key", {"step": version, "w": torch.zeros(5000)})


def _read_checkpoint(folder):
    from bunny.training import checkpoint

    state = checkpoint.load_newest(folder, "key")
    return state["step"] if state and state["w"].numel() == 5000 else None


def _write_drawing(folder, version):
    import numpy as np
    from PIL import Image

    from bunny.generation import provenance

    pixels = np.frombuffer(_noise(version, 60 * 60 * 3), np.uint8).reshape(60, 60, 3)
    provenance.save_png(folder / "a.png", Image.fromarray(pixels), {"version": version})


def _read_drawing(folder):
    import cv2

    picture = cv2.imread(str(folder / "a.png"))
    if picture is None:
        return None
    pixels = picture[..., ::-1].tobytes()
    return next((v for v in (OLD, NEW) if pixels == _noise(v, 60 * 60 * 3)), None)


def _write_export(folder, version):
    from bunny.trainer_format.export import folder as export

    def fill(target):
        for name in ("a.bin", "b.bin"):
            (target / name).write_bytes(_noise(version))
        return {"version": version}

    export.replace_folder(folder / "set", "kohya", fill)


def _read_export(folder):
    if not (folder / "set").exists():
        return None
    found = {_version_of((folder / "set" / name).read_bytes()) for name in ("a.bin", "b.bin")}
    assert len(found) == 1
    return found.pop()


def _write_shard(folder, version):
    import polars as pl

    from bunny.contract.shard import Shards
    from bunny.table import store

    rows = [{"frame_id": f"f{i}", "model": str(version), "vector": None} for i in range(3)]
    table = store.from_rows("embedding", rows)
    more = pl.concat([table.with_columns(model=pl.lit(f"{m}{version}")) for m in range(900)])
    Shards(folder / "item", "key").put(0, {"embedding": more})


def _read_shard(folder):
    from bunny.contract.shard import Shards

    shards = Shards(folder / "item", "key")
    if not shards.is_done(0):
        return None
    return int(shards.get(0, "embedding")["model"][0][-1])


def _write_learned(folder, version):
    import numpy as np

    from bunny.review.learn import linear_map, method, threshold_rule
    from bunny.review.learn import version as versions

    eye = np.eye(60, dtype=np.float32)
    own = linear_map.LinearMap(mean=np.zeros(60, np.float32), down=eye, up=eye, is_residual=False)
    one = method.FittedMethod(
        method="correlation", space=own, rule=threshold_rule.ThresholdRule(join=0.5, move=0.1)
    )
    made = versions.save(folder, {("character", "made"): one}, {})
    versions.use(folder, made.number)


def _read_learned(folder):
    from bunny.review.learn import version as versions

    number = versions.current(folder)
    versions.load(versions.read(folder, number))  # refuses what is not whole
    return number


WRITERS = {
    "table": Writer(write=_write_table, read=_read_table),
    "bytes": Writer(
        write=_write_bytes, read=lambda f: _version_of((f / "report.html").read_bytes())
    ),
    "settings": Writer(write=_write_settings, read=_read_settings),
    "adapter": Writer(write=_write_adapter, read=_read_adapter),
    "checkpoint": Writer(write=_write_checkpoint, read=_read_checkpoint),
    "drawing": Writer(write=_write_drawing, read=_read_drawing),
    "learned": Writer(write=_write_learned, read=_read_learned),
    "export": Writer(write=_write_export, read=_read_export, is_folder=True),
    "shard": Writer(write=_write_shard, read=_read_shard, is_folder=True),
}


def _files(folder: Path) -> dict[str, int]:
    return {p.relative_to(folder).as_posix(): p.stat().st_size for p in folder.rglob("*.*")}


def _half(folder: Path, name: str) -> int:
    """Half of the largest file that is written; at least 1 KB, so that small ones beside it fit."""
    WRITERS[name].write(folder / "measured", OLD)
    half = max(_files(folder / "measured").values()) // 2
    assert half > 1000
    return half


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_what_was_there_and_nothing_beside_it(name, tmp_path):
    writer, folder, half = WRITERS[name], tmp_path / "own", _half(tmp_path, name)
    writer.write(folder, OLD)
    before = _files(folder)
    refusals = (OSError, RuntimeError, SafetensorError, UserError)  # Python's, torch's, …, ours
    with full_disk.full_after(half), pytest.raises(refusals):
        writer.write(folder, NEW)
    assert writer.read(folder) == OLD
    assert name == "shard" or _files(folder) == before  # a shard's rest is written over
    writer.write(folder, NEW)
    assert writer.read(folder) == NEW


def test_a_full_disk_takes_no_part_of_what_is_said_at_once(tmp_path):
    from bunny.review import event_log
    from bunny.review.event_log import Event

    def said(text):
        return Event(user="ana", kind="comment", level="scene", text=text)

    event_log.append(tmp_path, [said("old")])
    size = (tmp_path / event_log.FILE).stat().st_size
    with full_disk.full_after(3 * size), pytest.raises(OSError, match="too large"):
        event_log.append(tmp_path, [said(f"new {i}") for i in range(5)])
    assert [e.text for e in event_log.read(tmp_path)] == ["old"]
    event_log.append(tmp_path, [said("next")])
    assert [e.text for e in event_log.read(tmp_path)] == ["old", "next"]


def test_temporary_files_of_killed_writes_are_removed_after_an_hour(tmp_path):
    from bunny.core import atomic

    (tmp_path / "table").mkdir()
    old, young, other = (
        tmp_path / "table" / name
        for name in (".a.parquet.k3_9xzq0.tmp", ".b.parquet.k3_9xzq0.tmp", ".notes.tmp")
    )
    for path in (old, young, other, tmp_path / "a.parquet.tmp"):
        path.write_bytes(b"half")
        os.utime(path, (0, 0) if path != young else None)
    assert atomic.remove_leftovers(tmp_path) == 1
    assert not old.exists() and young.exists() and other.exists()
    assert atomic.remove_leftovers(tmp_path / "nothing") == 0
    atomic.write_bytes(tmp_path / "x", b"")  # what it looks for is what is written
    names = []
    atomic.write_file(tmp_path / "x", lambda path: names.append(path.name))
    assert atomic.LEFTOVER.fullmatch(names[0])


# -- kills ---------------------------------------------------------------------------------------

CHANGES = {"os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.link"}
MOST_CHANGES = 12


def _child(work: Path, halves: dict[str, int]) -> None:
    """In a process of its own: fork for each kill; each fork writes and is killed on the way."""
    import torch  # noqa: F401  (once for all forks)

    from bunny.generation import sampler  # noqa: F401
    from bunny.review.learn import method  # noqa: F401
    from bunny.table import store  # noqa: F401

    ended = {}
    for name, writer in WRITERS.items():
        for kill in ["write", *range(MOST_CHANGES)]:
            folder = work / f"{name}-{kill}"
            if (pid := os.fork()) == 0:
                writer.write(folder, OLD)
                if kill == "write":
                    full_disk.die_after(halves[name])
                else:
                    _die_before_change(kill)
                writer.write(folder, NEW)
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            ended[folder.name] = -os.waitstatus_to_exitcode(status)
            if status == 0:
                break
    sys.stdout.write(json.dumps(ended))


def _die_before_change(number: int) -> None:
    """Kill this process before change `number` of names of files, counted from 0."""
    left = [number]

    def watch(event: str, _arguments: tuple) -> None:
        if event in CHANGES:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sys.addaudithook(watch)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Folders in which a write was killed, by writer: signal and folder of each kill."""
    work = tmp_path_factory.mktemp("killed")
    halves = {name: _half(work / "half" / name, name) for name in WRITERS}
    done = subprocess.run(
        [sys.executable, __file__, str(work), json.dumps(halves)],
        env={**os.environ, "PYTHONPATH": str(Path(full_disk.__file__).parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    return {
        name: [(number, work / key) for key, number in ended.items() if key.startswith(f"{name}-")]
        for name in WRITERS
    }


@pytest.mark.parametrize("name", WRITERS)
def test_a_kill_leaves_the_old_or_the_new_and_the_next_write_goes_well(name, killed):
    writer = WRITERS[name]
    (inside, *between) = killed[name]
    assert inside[0] == signal.SIGXFSZ
    assert writer.read(inside[1]) == OLD
    assert [number for number, _ in between] == [signal.SIGKILL] * (len(between) - 1) + [0]
    assert len(between) >= 2  # it renames at least once
    found = [writer.read(folder) for _, folder in between]
    assert found[-1] == NEW
    assert set(found) <= {OLD, NEW, None if writer.is_folder else OLD}
    assert found == sorted(found, key=lambda v: (v == NEW, v is None))  # never back to the old one
    for _, folder in (inside, *between):
        writer.write(folder, NEW)
        assert writer.read(folder) >= NEW


# -- every place that writes ---------------------------------------------------------------------

WRITING = (
    "write_text write_bytes write_parquet write_csv write_json write_ipc save save_file "
    "save_pretrained savefig savez imwrite dump tofile copyfile copy2 copytree write_image touch"
)
OURS = {"atomic.write_bytes", "store.write_parquet", "folder.write_text", "write_text"}
OURS |= {"explorer.save", "version.save", "space.save", "self.save", "file.write_file"}
OURS |= {"drawn.save", "made.save"}  # sampler.GeneratedPicture
NO_FILES = {"self.canvas.save"}

# `function:call` of all other writing, by why it may.
ALLOWED = {
    "under a temporary name, in the one place that renames": (
        "_publish:temporary.open write_bytes:temporary.write_bytes write:frame.write_parquet "
        "write:write_parquet"
    ),
    "handed to atomic.write_file": (
        "build:graph.save write:temporary.open write:np.save save_png:picture.save "
        "_put:save_file _write_zip:out.open _encode:av.open finish:shutil.copyfile "
        "_stream:path.open"
    ),
    "into a temporary folder that is renamed when whole": (
        "save:?.write_text save:save_file save:?.open save:torch.save save_state:save "
        "_write_metadata:?.write_text _write_png:path.write_bytes copy_mask:shutil.copyfile "
        "copy_mask:target.write_bytes replace_folder:?.write_text write_text:path.write_bytes "
        "_write_part:shutil.copyfile _write_tar:tarfile.open "
        "_extract_one:target.open _place:?.touch copy_picture:shutil.copyfile "
        "_write_fitted:target.write_bytes _write_folder:shutil.copyfile "
        "_write_pair_folder:shutil.copyfile"
    ),
    "into a temporary folder that is removed in the end": (
        "serve:path.write_text serve:shutil.copytree write_faces:path.write_bytes "
        "own_kernel:?.write_text _by_controls:path.write_bytes unpack:?.write_bytes "
        "_unpack_shard:?.write_bytes"
    ),
    "lines put to the end of a record, a cut last line is passed over": (
        "_write:path.open _drop_cut_line:path.open"
    ),
    "parts of a film put to the end of those before, whose number of bytes says where to go on": (
        "receive:?.open"
    ),
    "an empty file that keeps a name free for a film that takes its place": (
        "_free_place:place.touch"
    ),
    "vectors that no table names yet, or names no more": (
        "append_vectors:path.open _erase_vectors:path.open"
    ),
    "what a film of a batch says, read once it has ended": ("_attempt:place.open"),
    "into memory": (
        "_figures:views.write_json mean_window:np.save frames_hash:?.write_csv write_file:save "
        "to_jpeg:image.save to_png:image.save to_png:figure.save _jpeg:?.save on_click:save "
        "_loop:?.save"
    ),
}


def _name_of(node: ast.expr) -> str:
    """`a.b.c` of an attribute or name; `?` stands for what is computed."""
    if isinstance(node, ast.Attribute):
        return f"{_name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _is_open_to_write(call: ast.Call, name: str) -> bool:
    if name.split(".")[-1] not in ("open", "fdopen"):
        return False
    flags = {n.attr for n in ast.walk(call) if isinstance(n, ast.Attribute)}
    modes = [
        a.value
        for a in [*call.args, *(k.value for k in call.keywords)]
        if isinstance(a, ast.Constant) and isinstance(a.value, str)
    ]
    is_mode = any(set(m) <= set("rwaxbt+") and set(m) & set("wax+") for m in modes)
    return is_mode or bool(flags & {"O_WRONLY", "O_RDWR", "O_CREAT"})


def _writing_calls(path: Path) -> set[tuple[str, str]]:
    """Function and call of all that may write a file directly."""
    found = set()

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Call):
            name = _name_of(node.func)
            if _is_open_to_write(node, name) or (
                name.split(".")[-1] in WRITING.split() and name not in OURS | NO_FILES
            ):
                found.add((function, name))
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(ast.parse(path.read_text(encoding="utf-8")), "")
    return found


def test_nothing_else_writes_under_a_last_name():
    found = set().union(*(_writing_calls(p) for p in (ROOT / "src").rglob("*.py")))
    allowed = {tuple(call.split(":")) for calls in ALLOWED.values() for call in calls.split()}
    assert found - allowed == set(), "write it by atomic.write_file, or say here why not"
    assert allowed - found == set(), "these are no more"


if __name__ == "__main__":
    _child(Path(sys.argv[1]), json.loads(sys.argv[2]))
