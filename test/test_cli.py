"""The command line: exit codes and one sentence for every mistake; the whole way is in test_run."""

import json
import os
import re

import pytest

from bunny.command import doctor


def _one_sentence(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("bunny: ") and "Traceback" not in text
    return lines[0]


def test_a_film_that_is_not_there(bunny):
    code, _, err = bunny("run", "no/such film 🐇.mp4")
    assert code == 2
    assert "found no such file" in _one_sentence(err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "filtering.blur=1"], "unknown key filtering.blur"),
        (["--set", "extraction.quality=high"], "extraction.quality"),
        (["--only", "extract,bake"], "stage bake"),
        (["--until", "dinner"], "stage dinner"),
        (["--references", "nowhere"], "found no such folder"),
    ],
)
def test_wrong_options_are_the_users_error(bunny, tmp_path, arguments, words):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"not a film yet")
    code, _, err = bunny("run", film, *arguments)
    assert code == 2
    assert words in _one_sentence(err)


def test_an_unknown_option_is_refused(bunny, tmp_path):
    code, _, err = bunny("run", tmp_path, "--fast")
    assert code == 2
    assert "--fast" in err


def test_status_without_films_says_what_to_do(bunny):
    code, out, _ = bunny("status")
    assert code == 0
    assert "bunny demo" in out
    code, _, err = bunny("status", "anna")
    assert code == 2
    assert "begins with anna" in _one_sentence(err)


def test_help_has_every_command_in_the_order_of_use(bunny, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    _, out, _ = bunny("--help")
    rows = re.findall(r"^(?:╭─ (.+?) ─|│ (\w+) )", out, flags=re.MULTILINE)
    assert "".join(f"\n{panel}:" if panel else f" {command}" for panel, command in rows) == (
        "\nOptions:"
        "\nFilm: demo run batch status caption report lab doctor models"
        "\nCharacters and training set: references characters gaps check"
        "\nEvaluation and generation: evaluate generate"
        "\nLibrary: review approve learn search where publish correct library"
        "\nWorkspace: compare clean forget pack unpack"
        "\nExport: export"
    )


def test_export_of_nothing_is_refused(bunny):
    code, _, err = bunny("export", "json")
    assert code == 2
    assert "found none" in _one_sentence(err)


def test_doctor_lists_models_with_licences_and_never_shows_a_secret(bunny, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-to-be-shown")
    code, out, _ = bunny("doctor", "--json")
    assert code == 0
    found = {(f["group"], f["name"]): f for f in json.loads(out)}
    assert found["credentials", "OPENAI_API_KEY"]["value"] == "set"
    assert "sk-never-to-be-shown" not in out
    licences = [f["value"] for (group, _), f in found.items() if group == "models"]
    assert len(licences) >= 4
    assert all("missing" not in value for value in licences)
    assert found["packages", "torch"]["value"].startswith("2.")
    assert all(f["advice"] for f in found.values() if f["value"] in ("none", "not set", "missing"))
    mediapipe = found["extras", "mediapipe"]
    assert mediapipe["value"] == "not offered" and "replaces the OpenCV" in mediapipe["advice"]


def test_a_notebook_has_what_doctor_found_in_ten_lines():
    lines = doctor.summary().splitlines()
    groups = ["machine", "packages", "models", "drawn film", "captions", "credentials", "extras"]
    assert len(lines) <= 10
    assert [head for line in lines if (head := line[:12].strip())] == groups
    assert "models       all 8 installed" in lines


def test_doctor_alone_prints_about_ten_lines(bunny):
    _, out, _ = bunny("doctor")
    lines = out.splitlines()
    assert len(lines) <= 11 and lines[-1] == "`bunny doctor --all` lists each of them."
    assert bunny("doctor", "--all", "--workspace")[0] == 2


def test_doctor_says_how_drawn_film_is_labelled_better(bunny, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    found = {f["name"]: f for f in json.loads(bunny("doctor", "--json")[1])}
    first = found["CCIP and anime detectors"]
    assert "built-in search" in first["value"]
    assert "recognise drawn characters better" in first["advice"]
    assert "`bunny models get anime`" in first["advice"]
    assert "uv sync" not in first["advice"]  # the hub's packages are here
    monkeypatch.setitem(doctor.EXTRAS, "hub", ("no_such_module", "base models"))
    assert "first run `uv sync --extra hub`" in doctor.summary()
    assert found["ccip"]["value"] == "character recognition, openrail (model card), not downloaded"
    assert "deepghs/anime_person_detection" in found["anime-person"]["advice"]
    for repository, file in (
        ("ccip_onnx", "ccip-caformer-24-randaug-pruned/model_feat.onnx"),
        ("anime_person_detection", "person_detect_v1.1_m/model.onnx"),
        ("anime_real_cls", "mobilenetv3_v1.1_dist_ls0.1/model.onnx"),
    ):
        cached = tmp_path / f"models--deepghs--{repository}"
        (cached / "refs").mkdir(parents=True)
        (cached / "refs" / "main").write_text("abc")
        model = cached / "snapshots" / "abc" / file
        model.parent.mkdir(parents=True)
        model.write_bytes(b"x")
    found = {f["name"]: f for f in json.loads(bunny("doctor", "--json")[1])}
    assert found["ccip"]["value"].endswith(", downloaded") and found["ccip"]["advice"] == ""
    assert found["CCIP and anime detectors"]["value"].startswith(
        "CCIP and anime-person are downloaded"
    )


def test_doctor_in_words_groups_its_lines(bunny):
    _, out, _ = bunny("doctor", "--all")
    heads = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert heads == [
        "machine",
        "packages",
        "models",
        "drawn film",
        "captions",
        "credentials",
        "extras",
    ]


def test_doctor_says_what_keeps_caption_providers_from_being_asked(bunny, monkeypatch):
    monkeypatch.setenv("BUNNY_CAPTIONING__PROVIDERS", "[openai, clip, tags]")
    monkeypatch.setenv("BUNNY_CAPTIONING__OPENAI__MODEL", "gpt-4o-mini")
    found = {f["name"]: f for f in json.loads(bunny("doctor", "--json")[1])}
    assert found["1. openai"]["value"] == "gpt-4o-mini"
    assert "captioning.allow_upload=true" in found["1. openai"]["advice"]
    assert found["2. clip"]["advice"] == "set captioning.clip.model"
    assert (found["3. tags"]["value"], found["3. tags"]["advice"]) == (
        "from the tables, offline",
        "",
    )
    monkeypatch.setenv("BUNNY_CAPTIONING__ALLOW_UPLOAD", "true")
    found = {f["name"]: f for f in json.loads(bunny("doctor", "--json")[1])}
    assert found["1. openai"]["advice"] == ""


def test_a_file_where_a_folder_should_be_is_the_users_to_mend(bunny, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"x")
    (tmp_path / "data").write_bytes(b"a file where a folder should be")
    code, _, err = bunny("run", film)
    assert code == 2
    assert "cannot create this folder" in _one_sentence(err)


def test_ctrl_c_is_one_sentence_with_code_130(bunny, monkeypatch):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "getcwd", stop)
    code, out, err = bunny("status")
    assert (code, out) == (130, "")
    assert _one_sentence(err).endswith("run the same command again to resume")
