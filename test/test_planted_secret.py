"""Secrets planted in every input are in no table, log, notebook, report, picture or adapter."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from small_project import FILM, command

from bunny import demo
from bunny.core import workspace

pytestmark = [pytest.mark.slow, pytest.mark.attack]

# Each is found again by its own word; the characters in the middle read otherwise in an address.
SECRET = {
    name: f"planted-{name}/+{number}8f3a91"
    for number, name in enumerate(
        ("openai", "aws", "hub", "dotenv", "postgres", "bucket", "endpoint", "base", "option")
    )
}
INPUTS = (".env", "local_secret.yaml")  # where they were planted


@pytest.fixture(scope="module")
def planted(small_project, tmp_path_factory):
    """A project with secrets in its environment, `.env` and settings, and what commands said."""
    root = tmp_path_factory.mktemp("planted")
    for name in ("config", "notebook", "base", FILM):
        source = small_project.folder / name
        shutil.copytree(source, root / name) if source.is_dir() else shutil.copy(source, root)
    dotenv = {
        "LOCAL_API_KEY": SECRET["dotenv"],
        "BUNNY_DATABASE_URL": f"postgresql://ana:{quote(SECRET['postgres'], '')}@127.0.0.1:9/film",
    }
    lines = [f"{name}='{value}'\n" for name, value in dotenv.items()]
    (root / ".env").write_text("".join(lines), encoding="utf-8")
    captioning = {"providers": ["local", "tags"], "max_retries": 0}
    captioning["local"] = {"endpoint_url": "http://127.0.0.1:9/v1", "model": "m"}
    settings = {"captioning": captioning}
    (root / "config" / "local_caption.yaml").write_text(json.dumps(settings), encoding="utf-8")
    data = root / "space"
    film_id = small_project.done["film_id"]
    done = workspace.locate(small_project.folder, str(small_project.folder / "data"), film_id)
    space = workspace.locate(root, str(data), film_id)
    shutil.copytree(done.root, space.root)
    for stage in ("caption", "dataset", "finetune", "evaluate", "generate"):
        shutil.rmtree(space.root / "stage" / stage)
    return root, data, _run_all(root, data)


def _address(scheme: str, name: str, place: str) -> str:
    return f"{scheme}://ana:{quote(SECRET[name], '')}@{place}"


def _run_all(root: Path, data: Path) -> dict[str, tuple[int, str]]:
    """Exit code and all that was said of commands that succeed and fail, by what they are."""
    film = ["run", FILM, "--references", demo.reference_dir(), "--data-dir", data]
    quick = [*film, "--set", "pipeline.has_report=false"]  # the first run writes one
    base = f"models.base_model={_address('https', 'base', 'hub.example/base')}"
    bucket = _address("s3", "bucket", "bucket/prefix")
    option = f"captioning.local.endpoint_url={_address('http', 'option', '127.0.0.1:9/v1')}"
    lines = {
        "run": [*film, "--debug"],
        "notebook": [*quick, "--notebooks", "--only", "caption"],
        "base": [*quick, "--only", "finetune", "--set", base],
        "base in a notebook": [*quick, "--notebooks", "--only", "finetune", "--set", base],
        "bucket": ["run", FILM, "--data-dir", bucket],
        "bucket by a setting": ["run", FILM, "--set", f"project.data_dir={bucket}"],
        "publish": ["publish", "three", "--data-dir", data],
        "status": ["status", "three", "--data-dir", data, "--json"],
        "doctor": ["doctor", "--json"],
        "batch": ["batch", FILM, "--data-dir", data, "--until", "filter", "--set", option],
        "adapter": [
            "export",
            "adapter",
            "three",
            "--data-dir",
            data,
            "--output",
            root / "out.safetensors",
        ],
        "set": ["export", "kohya", "three", "--data-dir", data, "--output", root / "set"],
    }
    said = {what: _run(root, line) for what, line in lines.items()}
    wrong = {"captioning": {"local": {"endpoint_url": _address("http", "endpoint", "h/v1")}}}
    (root / "config" / "local_secret.yaml").write_text(json.dumps(wrong), encoding="utf-8")
    said["endpoint"] = _run(root, [*film, "--force", "--only", "caption"])
    return said


def _run(root: Path, line: list) -> tuple[int, str]:
    import os

    env = {**os.environ, "HF_HUB_OFFLINE": "1", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}
    env |= {"OPENAI_API_KEY": SECRET["openai"], "AWS_SECRET_ACCESS_KEY": SECRET["aws"]}
    env |= {"HF_TOKEN": SECRET["hub"]}
    done = subprocess.run(command(*line), cwd=root, env=env, capture_output=True)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def _found(data: bytes) -> set[str]:
    """Secrets that stand in bytes, plainly, as in an address, as in JSON, or in base64."""
    found = set()
    for name, secret in SECRET.items():
        codes = {secret, quote(secret), quote(secret, ""), json.dumps(secret)[1:-1]}
        codes |= {f"planted-{name}", base64.b64encode(secret.encode()).decode()[:16]}
        if any(code.encode() in data for code in codes):
            found.add(name)
    return found


def test_the_commands_ended_as_they_should(planted):
    _, _, said = planted
    wrong = {what for what, (code, _) in said.items() if code}
    refused = {"base", "base in a notebook", "bucket", "bucket by a setting", "publish"}
    assert wrong == refused | {"batch", "endpoint"}, {w: said[w] for w in wrong ^ refused}
    assert {said[what][0] for what in wrong} == {2}
    for what in ("base", "base in a notebook", "bucket by a setting", "batch", "endpoint"):
        assert "expected an address without user and password" in said[what][1], what


def test_no_command_says_a_secret(planted):
    _, _, said = planted
    assert {what: _found(text.encode()) for what, (_, text) in said.items()} == {
        what: set() for what in said
    }


def test_no_file_has_a_secret(planted):
    root, _, _ = planted
    paths = [p for p in root.rglob("*") if p.is_file() and p.name not in INPUTS]
    kinds = {path.suffix for path in paths}
    assert {".parquet", ".jsonl", ".ipynb", ".html", ".png", ".safetensors", ".json"} <= kinds
    leaks = {}
    for path in paths:
        data = path.read_bytes()
        if path.suffix == ".parquet":  # it is packed
            data += str(pl.read_parquet(path).to_dicts()).encode()
        if found := _found(data):
            leaks[path.relative_to(root).as_posix()] = found
    assert leaks == {}


def test_the_search_finds_what_is_planted():
    secret = SECRET["postgres"]
    for shown in (secret, quote(secret, ""), base64.b64encode(secret.encode()).decode()):
        assert _found(f"x{shown}y".encode() if "planted" in shown else shown.encode()) == {
            "postgres"
        }


@pytest.mark.skipif(sys.platform == "win32", reason="names of variables")
def test_passwords_in_any_address_are_hidden(monkeypatch):
    from bunny.core import log

    text = "https://ana:p%40ss@host/a?b=c and s3://KEY:word@bucket, http://host:80/a@b"
    hidden = "https://ana:***@host/a?b=c and s3://KEY:***@bucket, http://host:80/a@b"
    assert log.redact(text) == hidden
