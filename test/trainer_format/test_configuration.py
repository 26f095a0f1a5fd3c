"""Configuration files, as the trainers parse them."""

import csv
import json
import shlex
import tomllib

import yaml

from bunny.trainer_format.export import configuration, media


def test_musubi_names_size_length_and_a_cache_of_each_folder(export):
    place = export("musubi")
    said = tomllib.loads((place / "dataset.toml").read_text())
    assert said["general"]["caption_extension"] == ".txt"
    first, second, still = said["datasets"]
    assert first["video_directory"] == f"{place}/clip/96x128x49"
    assert (first["resolution"], first["target_frames"]) == ([96, 128], [49])
    assert "source_fps" not in first  # the clips have the model's rate
    assert second["target_frames"] == [33]
    assert still["image_directory"] == f"{place}/still/64x96"
    assert len({one["cache_directory"] for one in said["datasets"]}) == 3


def test_musubi_pairs_name_all_references_in_order(export):
    place = export("musubi", "pairs")
    lines = (place / "pair-reference-64x96-2.jsonl").read_text().splitlines()
    home = f"{place}/pair/reference/64x96-2"
    assert [json.loads(line) for line in lines] == [
        {
            "image_path": f"{home}/target/p1.png",
            "control_path_0": f"{home}/control_1/p1.png",
            "control_path_1": f"{home}/control_2/p1.png",
            "caption": "make p1",
        }
    ]


def test_ai_toolkit_has_a_folder_for_each_reference(export):
    place = export("ai-toolkit", "pairs")
    one, two = yaml.safe_load((place / "datasets.yaml").read_text())["datasets"]
    home = f"{place}/pair/reference/64x96"
    assert one["control_path"] == [f"{home}-1/control_1"]
    assert two["control_path"] == [f"{home}-2/control_1", f"{home}-2/control_2"]
    assert one["resolution"] == 79  # 79 * 79 = 6241 is the first square above 64 * 96 = 6144


def test_simpletuner_links_references_to_their_targets(export):
    place = export("simpletuner", "pairs")
    said = {one["id"]: one for one in json.loads((place / "multidatabackend.json").read_text())}
    target = said["pair-reference-64x96-2"]
    assert len(target["conditioning_data"]) == 2
    for name in target["conditioning_data"]:
        assert said[name]["conditioning_type"] == "reference_loose"
        assert said[name]["source_dataset_id"] == "pair-reference-64x96-2"
    assert said["text"]["default"] is True


def test_diffsynth_and_ltx_name_files_from_the_folder(export):
    place = export("diffsynth")
    with (place / "metadata.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert rows[0] == {"video": "clip/96x128x49/b1.mp4", "prompt": "anna walks, clip b1"}
    assert "--num_frames 49" not in (place / "metadata.csv").read_text()
    assert "--num_frames 49" in (place / "arguments.txt").read_text().splitlines()
    ltx = export("ltx")
    assert "'96x128x49;128x96x33;64x96x1'" in (ltx / "arguments.txt").read_text()
    assert json.loads((ltx / "dataset.json").read_text())[3]["video"] == "still/64x96/s1.png"


def test_the_same_media_give_the_same_bytes(export, tmp_path):
    first = {
        p.relative_to(tmp_path).as_posix(): p.read_bytes()
        for p in export("simpletuner").rglob("*")
        if p.is_file()
    }
    import shutil

    shutil.rmtree(tmp_path / "clips-simpletuner")
    export("simpletuner")
    assert first == {name: (tmp_path / name).read_bytes() for name in first}
    manifest = first["clips-simpletuner/manifest.jsonl"].decode().splitlines()
    assert json.loads(manifest[0]) == {
        "file": "clip/96x128x49/b1.mp4",
        "caption": "anna walks, clip b1",
        "clip_id": "b1",
    }


def test_arguments_are_words_of_a_shell(tmp_path, clips):
    place = tmp_path / "my $HOME films"
    place.mkdir()
    folders = media.write_clips(place, clips)
    for form in ("ltx", "diffsynth"):
        files = configuration.WRITERS[form](folders, place)
        words = shlex.split(files["arguments.txt"])
        assert f"{place}/{'dataset.json' if form == 'ltx' else 'metadata.csv'}" in words


def test_finetrainers_resizes_pictures_by_the_one_way_that_does_not_fail(export):
    said = json.loads((export("finetrainers") / "training.json").read_text())["datasets"]
    ways = {(one["dataset_type"], one["reshape_mode"]) for one in said}
    assert ways == {("video", "resize_crop"), ("image", "bicubic")}
