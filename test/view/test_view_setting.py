"""Settings that a view reads beside the stage: thresholds of the explorer and the report."""

import polars as pl
import pytest
import table_row

from bunny.character.drawn import figure_label
from bunny.core.config import Config
from bunny.table import store
from bunny.view.report import evaluation, film, page
from bunny.view.report.section import ReportData
from bunny.view.widget import caption, dataset, generation, preview, scene, shot


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_a_threshold_that_is_set_is_not_a_measured_one(tmp_path, threshold):
    settings = Config(detection={"similarity_threshold": threshold}).detection
    seen = preview.read_tables(tmp_path)
    verdict = preview.judge(seen, preview.compare(seen, settings), settings)
    assert verdict.threshold["face"] == threshold and not verdict.is_measured


@pytest.fixture
def labelled(tmp_path):
    """A face and a drawn figure of Anna."""
    box = table_row.box(0.0, 0.0, 9.0, 9.0)
    rows = [
        {"subject_id": f"f-{kind}", "subject_type": kind, "character": "anna", "distance": 0.4}
        | box
        for kind in ("face", "region")
    ]
    table_row.write(tmp_path / "table", "label", rows)
    return tmp_path


@pytest.mark.parametrize("key", ["similarity_threshold", "drawn_threshold"])
def test_the_report_draws_the_thresholds_that_are_set(labelled, key):
    """Of faces and of drawn figures alike, the picture changes with the line in it."""
    first, same, moved = (
        film.people(
            ReportData(root=labelled, film_id="film", config=Config(detection={key: at}))
        ).plots[0]
        for at in (0.6, 0.6, 0.7)
    )
    assert first == same != moved


def test_figures_are_as_clear_as_the_margin_that_is_set_asks(shared_space):
    """All are ahead by 0.2, which is 0.05 more than is asked, and far above the threshold."""
    settings = Config(detection={"drawn_threshold": 0.0, "drawn_margin": 0.15})
    wanted = settings.detection
    seen = preview.read_tables(shared_space.table)
    found = preview.judge(seen, preview.compare(seen, wanted), wanted).subject
    figures = found.filter(found["subject_id"].str.ends_with("-r0"))
    assert figures["slack"].to_list() == [pytest.approx(0.05, abs=1e-6)] * figures.height


def test_drawn_figures_are_as_clear_as_the_score_that_is_set_asks(space):
    """The score of each, 1, is 0.3 more than is asked."""
    region = store.read(space.table, "region")
    found = region.with_columns(support=1.0, model=pl.lit(figure_label.MODEL))
    store.write(space.table, "region", store.from_rows("region", found.to_dicts()))
    wanted = Config(detection={"figure_score": 0.7}).detection
    seen = preview.read_tables(space.table)
    subject = preview.judge(seen, preview.compare(seen, wanted), wanted).subject
    figures = subject.filter(subject["subject_id"].str.ends_with("-r0"))
    assert figures["slack"].to_list() == [pytest.approx(0.3, abs=1e-6)] * region.height


@pytest.mark.parametrize(("distance", "has_duplicates"), [(0, False), (64, True)])
def test_views_of_the_explorer_are_duplicates_as_far_as_is_set(
    shared_space, distance, has_duplicates
):
    """Two hashes of 64 bits are never more than 64 apart, and those of the film differ."""
    wanted = {"max_upscale": 8.0, "min_subject_px": 4}
    config = Config(dataset=wanted, filtering={"duplicate_distance": distance})
    opened = dataset.open_dataset(shared_space, config)
    assert ("duplicate" in opened.before["bunny"].reasons) == has_duplicates


def test_the_report_says_which_class_word_was_overwritten(space):
    """The class word alone draws the bunny in every picture, the base's in none."""
    at = {"run_id": "run-1", "character": "bunny", "about": "", "n": 20}
    values = [("choose", 200, "chosen", 200.0), ("report", 200, "recognised", 1.0)]
    values += [("real", 0, "real recognised", 1.0), ("real", 0, "strangers recognised", 0.0)]
    values += [("real", 0, "shots", 5.0)]
    rows = [
        {**at, "prompt_set": name, "step": step, "metric": metric, "value": value}
        | {"low": 0.8 * value, "high": value}
        for name, step, metric, value in values
    ]
    leak = {**at, "prompt_set": "class", "metric": "leak"}
    rows.append({**leak, "step": 0, "value": 0.0, "low": 0.0, "high": 0.2})
    rows.append({**leak, "step": 200, "value": 1.0, "low": 0.8, "high": 1.0})
    store.write(space.table, "evaluation", store.from_rows("evaluation", rows))
    config = Config(captioning={"class_word": "rabbit"})
    (said,) = evaluation.findings(
        ReportData(root=space.root, film_id="film", config=config)
    ).values()
    text = " ".join(one.text for one in said)
    assert "The class word was overwritten: “rabbit” alone draws bunny" in text


def test_faces_are_as_clear_as_the_margin_that_is_set_asks(shared_space):
    """What a face lacks or has beyond a margin that no face reaches is its margin less that."""
    wanted = Config(detection={"min_margin": 0.9}).detection
    seen = preview.read_tables(shared_space.table)
    found = preview.judge(seen, preview.compare(seen, wanted), wanted).subject
    faces = found.filter(~found["subject_id"].str.ends_with("-r0")).drop_nulls("margin")
    assert faces.height
    assert faces["slack"].to_list() == pytest.approx([m - 0.9 for m in faces["margin"]])


@pytest.mark.parametrize(("step", "is_wide"), [(64, True), (512, False)])
def test_buckets_of_the_explorer_go_by_the_step_that_is_set(shared_space, step, is_wide):
    """Steps of 512 px leave 1 x 4, too long for every view, and the square."""
    wanted = {"max_upscale": 8.0, "min_subject_px": 4, "bucket_step_px": step}
    opened = dataset.open_dataset(shared_space, Config(dataset=wanted))
    now = dataset.decide(opened, {"aspect": "buckets", "crop_margin": 0.0, "character": "bunny"})
    shapes = {round(window.size[0] / window.size[1], 1) for _, window in now.picked}
    assert 1.0 in shapes and (len(shapes) > 1) == is_wide


@pytest.mark.parametrize(("least", "is_soft"), [(99.0, False), (101.0, True)])
def test_views_of_the_explorer_are_as_sharp_as_is_set(space, least, is_soft):
    """Anna's faces have a sharpness of 100."""
    row = store.read(space.table, "candidate").row(0, named=True) | {"character": "anna"}
    store.write(space.table, "candidate", store.from_rows("candidate", [row]))
    wanted = {"max_upscale": 8.0, "min_subject_px": 4, "min_subject_sharpness": least}
    opened = dataset.open_dataset(space, Config(dataset=wanted))
    assert ("soft" in opened.before["anna"].reasons) == is_soft
    assert bool(opened.before["anna"].picked) != is_soft


def test_the_caption_explorer_knows_the_trigger_words_that_stand_in_the_captions(shared_space):
    config = Config(captioning={"trigger_word": "sks {name}"})
    opened = caption.open_captions(shared_space, config)
    assert opened.template == "sks {name}"


LARGE = {"max_upscale": 8.0, "min_subject_px": 4}  # settings under which the film's views are kept


@pytest.mark.parametrize(("least", "is_doubtful"), [(0.0, False), (1.0, True)])
def test_views_of_the_explorer_are_as_sure_as_is_set(shared_space, least, is_doubtful):
    """No label of the film is certain."""
    wanted = Config(dataset=LARGE | {"min_confidence": least})
    found = dataset.open_dataset(shared_space, wanted).before["bunny"]
    assert bool(found.picked) != is_doubtful and ("doubtful" in found.reasons) == is_doubtful


@pytest.mark.parametrize(("least", "is_left_out"), [(0.4, False), (0.6, True)])
def test_the_explorer_takes_sharp_subjects_of_blurred_pictures_as_is_set(
    shared_space, least, is_left_out
):
    """Each picture is blurred, and each subject in it has a score of 0.5."""
    wanted = Config(dataset=LARGE, filtering={"blur_threshold": least})
    tables = dict(dataset.open_dataset(shared_space, wanted).tables)
    blurred = pl.lit("blurred").cast(tables["quality"].schema["reason"])
    tables["quality"] = tables["quality"].with_columns(reason=blurred)
    subject = tables["label"].select("subject_id", sharpness=pl.lit(50.0), blur_score=0.5, luma=0.5)
    found = dataset._views("bunny", tables, subject, wanted)
    assert found.views
    assert ("filtered" in {one.reason for one in found.verdicts}) == is_left_out


@pytest.mark.parametrize("most", [1, 3])
def test_the_explorer_chooses_as_many_as_is_set(shared_space, most):
    opened = dataset.open_dataset(shared_space, Config(dataset=LARGE, models={"max_images": most}))
    assert len(opened.before["bunny"].picked) == most


def test_the_explorer_cuts_wider_windows_only_where_that_is_set(shared_space):
    """Without them each subject has one window."""
    windows = {}
    for is_wide in (True, False):
        wanted = LARGE | {"has_wider_crops": is_wide}
        picked = dataset.open_dataset(shared_space, Config(dataset=wanted)).before["bunny"].picked
        windows[is_wide] = len(picked) - len({view.subject_id for view, _ in picked})
    assert windows[True] > 0 == windows[False]


def test_the_explorer_begins_at_the_aspect_and_the_margin_that_are_set(shared_space):
    """Where it begins nothing is new."""
    wanted = Config(
        dataset=LARGE | {"aspect": "buckets", "bucket_step_px": 64}, models={"crop_margin": 0.7}
    )
    shown = dataset.explore_dataset(shared_space, wanted, is_interactive=False).data
    assert "a crop margin of 0.70" in shown and "<b>0</b> new, <b>0</b> removed" in shown
    opened = dataset.open_dataset(shared_space, wanted)
    begin = {"aspect": "buckets", "crop_margin": 0.7, "character": "bunny"}
    assert dataset.draw(opened, begin) == shown
    assert opened.before["bunny"] == dataset.decide(opened, begin)
    for other in ({"aspect": "square"}, {"crop_margin": 0.0}):
        assert dataset.decide(opened, begin | other) != opened.before["bunny"]


def test_the_explorer_of_generate_begins_with_the_prompts_that_are_set(shared_space):
    wanted = {
        "prompts": ["{trigger} at sea"],
        "guidance_scale": 9.5,
        "seeds": [4, 5, 6, 7],
        "negative_prompt": "fog",
    }
    panel, _ = generation.explore_generation(shared_space, Config(generation=wanted)).children
    prompts, _, guidance_scale, *_ = panel.children
    assert (prompts.value, guidance_scale.value) == ("{trigger} at sea", 9.5)
    opened = generation.open_generation(shared_space, Config(generation=wanted))
    assert list(opened.seeds) == [4, 5, 6, 7] and opened.negative_prompt == "fog"


def test_lengths_of_captions_are_held_against_the_limit_that_is_set(shared_space):
    opened = caption.open_captions(shared_space, Config(captioning={"max_caption_tokens": 5}))
    assert opened.limit.max_tokens == 5


def test_scenes_are_made_by_the_method_that_is_set(shared_space):
    """Of the film's pictures each method makes scenes of its own."""
    shown = {
        method: scene.draw_scene(shared_space, Config(clustering={"scene_method": method}))(
            {"scene_threshold": 0.5, "noise_threshold": 0.2}
        )
        for method in ("incremental", "agglomerative", "hdbscan")
    }
    assert len(set(shown.values())) > 1 and shown["hdbscan"] != shown["incremental"]


def test_only_shots_of_method_shot_are_decided_again(shared_space):
    words = "can only be tried with method shot"
    start = dict.fromkeys(shot.SHOT_RANGE, 0.5)
    for method, is_refused in (("shot", False), ("interval", True)):
        draw = shot.draw_shots(shared_space, Config(extraction={"method": method}))
        assert (words in draw(start)) == is_refused


def test_the_page_names_the_seed_that_is_set(tmp_path):
    data = ReportData(root=tmp_path, film_id="film", config=Config(seed=77))
    assert "film · seed 77 ·" in page.render(data)


def test_the_report_draws_the_blur_threshold_that_is_set(shared_space):
    first, same, moved = (
        film.pictures(
            ReportData(
                root=shared_space.root,
                film_id="film",
                config=Config(filtering={"blur_threshold": at}),
            )
        ).plots[1]
        for at in (0.2, 0.2, 0.6)
    )
    assert first == same != moved
