import json
import shutil
from html.parser import HTMLParser

import look as kept_look
import polars as pl
import pytest
import table_row

from bunny import demo
from bunny.character import model_file
from bunny.character.drawn import efficientnet
from bunny.core import atomic, file_hash
from bunny.core.config import Config
from bunny.table import store
from bunny.view import contact_sheet, style, tile
from bunny.view.plot import dataset_coverage, recognition, training
from bunny.view.plot import film as plot_film
from bunny.view.report import coverage, model, section
from bunny.view.report import page as report_page
from bunny.view.report import result as report_result
from bunny.view.report.section import share

MAX_BYTES = 8_000_000
SECTIONS = [
    "training-set",
    "drawings",
    "fine-tune",
    "stages",
    "references",
    "people",
    "pictures",
    "scenes",
    "captions",
    "caption-audit",
    "details",
    "missing",
]

NAME = "A$$AP <script>alert(1)</script> $\\frac$ _x_ | `rm` \U0001f430"
TEXT = f"{NAME}\n\t\u202e$x $ </title>" + "very long " * 400
USER_TEXT = {
    "film": {"path": TEXT},
    "cluster": {"cluster_id": NAME},
    "label": {"character": NAME},
    "dataset": {"character": NAME, "place": NAME},
    "picture": {"prompt": TEXT, "error": TEXT},
    "candidate": {"character": NAME, "place": NAME, "detail": TEXT},
    "caption": {"text": TEXT, "error": TEXT},
    "reference": {"character": NAME, "error": TEXT},
    "training_run": {"character": NAME, "trigger": NAME, "base_model": TEXT},
}

# Each tile becomes one colour, its mean: the kept pictures are small, and tell all but its grain.
FLATTEN = """async () => {
  await document.fonts.ready;
  const tiles = [...document.querySelectorAll('figure img')];
  const paint = (source, width, height) => {
    const canvas = Object.assign(document.createElement('canvas'), {width, height});
    const pen = canvas.getContext('2d');
    pen.imageSmoothingQuality = 'high';
    pen.drawImage(source, 0, 0, width, height);
    return canvas;
  };
  await Promise.all(tiles.map(tile => tile.decode()));
  for (const tile of tiles) {
    tile.src = paint(paint(tile, 1, 1), tile.naturalWidth, tile.naturalHeight).toDataURL();
  }
  await Promise.all(tiles.map(tile => tile.decode()));
}"""


class Page(HTMLParser):
    """Collects what a test asks of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.sections, self.sources, self.open_tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.open_tags.append(tag)
        if tag == "section":
            self.sections.append(values["id"])
        for name in ("src", "href"):
            if name in values:
                self.sources.append(values[name])


@pytest.fixture(scope="module")
def page(shared_space) -> str:
    import matplotlib

    with matplotlib.rc_context({"text.hinting": "none"}):  # as fixture `look` has it
        return report_page.write(shared_space, Config()).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def screen(chromium, page):
    """The report in a browser's page of fixed size, in letters that every machine has."""
    shown = chromium.new_page(viewport={"width": 1000, "height": 800}, color_scheme="light")
    shown.set_content(page)
    shown.add_style_tag(content=kept_look.page_style())
    shown.evaluate(FLATTEN)
    yield shown
    shown.close()


@pytest.fixture
def data(space, settings) -> section.ReportData:
    return section.ReportData(root=space.root, film_id=space.film_id, config=settings)


def test_report_of_a_film_has_every_section(page):
    assert Page(page).sections == SECTIONS
    assert len(page.encode()) < MAX_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("part", ["header", *(f"#{name}" for name in SECTIONS)])
def test_report_looks_as_kept(part, screen, look):
    name = part.removeprefix("#")
    shrink = 6 if name == "training-set" else 4  # it is the longest
    look(f"report-{name}", screen.locator(part).screenshot(), shrink)


def test_report_needs_nothing_beside_it(page):
    found = Page(page)
    assert found.sources
    assert all(s.startswith(("data:image/", "#")) for s in found.sources)
    assert "script" not in found.open_tags and "link" not in found.open_tags
    assert "url(" not in page and "@import" not in page
    assert 'loading="lazy"' not in page  # a page printed or jumped into would lack its pictures


def test_report_says_what_the_tables_say(page):
    assert "18 of 24 (75 %) are sharp, well exposed and not near duplicates" in page
    assert "2 of 12 pictures are held out" in page
    assert "12 pictures of bunny from 8 shots, as diverse as" in page
    assert "12 of 15 pose-size cells empty; largest place scene-001, 42 %" in page
    assert "No left profile (2 wanted): shot 0 (0:00) has 2, dropped as blurred" in page
    assert "The most similar pairs" in page and "Dropped views that would fill a gap" in page
    assert "toy base" in page
    assert "generated pictures are more like the held-out pictures of the character" in page
    assert "0.330 without, 0.680 with" in page
    assert "0.950 before, 0.700 after (-26.3 %)" in page
    assert "the loss fell" in page
    assert "300 MiB" in page
    assert ">0 %<" in page and "-0 %" not in page  # all of one pose: as uneven as can be


def test_report_before_any_stage_has_run(empty_space, settings):
    text = report_page.write(empty_space, settings).read_text(encoding="utf-8")
    assert Page(text).sections == ["missing"]
    assert "No stage has run for this film yet." in text
    assert "Run the stages: <code>bunny run tiny-0123abcd</code>." in text


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("film", "reference", "embedding", "training_step", "candidate"),
            "An adapter for bunny is trained; it has not been evaluated yet.",
        ),
        (
            ("shot", "quality", "label", "dataset"),
            "An adapter for bunny is trained; it has not been evaluated yet.",
        ),
        (
            ("frame", "cluster", "caption", "training_run", "picture", "face", "region"),
            "The training set of bunny is ready: 12 pictures at 64 px from 8 shots.",
        ),
    ],
)
def test_report_without_some_tables(names, said, space, settings):
    for name in names:
        (space.table / f"{name}.parquet").unlink()
    text = report_page.write(space, settings).read_text("utf-8")
    assert said in text and Page(text).sections[-1] == "missing"


def test_the_first_screen_has_the_set_and_base_beside_adapter(data):
    found = report_result.result(data)
    bunny, others = found.sets.rows
    assert bunny[:4] == ("bunny", "12", "64 px", "8")
    assert bunny[4].startswith("12 of 15 pose-size cells empty; no left profiles")
    why = "recognised, but not asked for (models.characters)"
    assert others == ("anna, ben", "0", "", "", why)
    assert [one.title for one in found.groups] == ["The set of bunny"]
    base, ours = found.drawn
    assert [len(base.tiles), [one.note for one in ours.tiles]] == [
        4,
        ["bunny in snow", "bunny by the sea"] * 2,
    ]
    assert found.advice[0].startswith("The toy base only shows that the pipeline works")


def test_a_film_in_which_nobody_was_recognised_shows_whom_to_name(space, table, settings):
    store.write(space.table, "dataset", table("dataset").clear())
    store.write(space.table, "candidate", table("candidate").clear())
    store.write(space.table, "training_run", table("training_run").clear())
    label = table("label").with_columns(character=pl.lit(None, pl.String))
    store.write(space.table, "label", label)
    body = {"name": "dataset", "status": "done", "note": "nobody is labelled"}
    atomic.write_bytes(space.stage("dataset") / "stage.json", json.dumps(body).encode())
    found = report_result.result(
        section.ReportData(root=space.root, film_id=space.film_id, config=settings)
    )
    assert found.verdict == (
        "Nobody in the film was recognised as anna, ben and bunny, so there is no training set."
    )
    assert found.sets.rows == [("anna, ben, bunny", "0", "", "", "not recognised in the film")]
    assert "`bunny characters tiny-0123abcd --name person-01=NAME`" in found.advice[0]


def test_a_stage_that_failed_comes_first(space, data):
    body = {"name": "detect", "status": "failed", "error": "the disk is full"}
    atomic.write_bytes(space.stage("detect") / "stage.json", json.dumps(body).encode())
    found = report_result.result(data)
    assert (found.verdict, found.tone) == ("Stage detect failed: the disk is full.", "bad")
    assert "`bunny run tiny-0123abcd`" in found.advice[0]


@pytest.mark.parametrize(
    ("right", "found_real", "said", "tone"),
    [
        (8, 20, "The adapter learned bunny: bunny is recognised in 8 of 8 generated pict", "good"),
        (0, 20, "The adapter did not learn bunny: bunny is recognised in 0 of 8 generated", "bad"),
        (8, 15, "Whether the adapter learned bunny cannot be judged: on held-out shots", "plain"),
    ],
)
def test_the_verdict_is_one_sentence(space, data, right, found_real, said, tone):
    wide = {"low": right / 8 - 0.3, "high": right / 8 + 0.3, "n": 8}
    rows = [
        {"metric": "recognised", "step": 0, "value": 0.0, "low": 0.0, "high": 0.3, "n": 8},
        {"metric": "recognised", "step": 40, "value": right / 8, **wide},
        {"metric": "chosen", "step": 40, "value": 40.0},
    ]
    real = {"real recognised": found_real / 20, "strangers recognised": 0.0, "shots": 5.0}
    rows += [
        {"metric": metric, "step": 0, "value": value, "n": 20, "prompt_set": "real"}
        for metric, value in real.items()
    ]
    common = {"run_id": "run-1", "character": "bunny", "prompt_set": "report", "about": ""}
    table_row.write(space.table, "evaluation", [common | row for row in rows])
    found = report_result.result(data)
    assert found.verdict.startswith(said) and found.tone == tone
    assert found.verdict.count(". ") == 0 and found.verdict.endswith(".")


def test_pictures_that_are_gone_are_grey_tiles(space, data):
    before = model.drawings(data).groups[0].tiles[0]
    shutil.rmtree(space.root / "picture")
    after = model.drawings(data).groups[0].tiles[0]
    assert after.uri.startswith("data:image/jpeg") and after.uri != before.uri


@pytest.mark.attack
def test_texts_of_people_are_only_words(space, settings, table):
    for name, texts in USER_TEXT.items():
        rows = table(name).with_columns(pl.lit(text).alias(c) for c, text in texts.items())
        store.write(space.table, name, rows)
    text = report_page.write(space, settings).read_text(encoding="utf-8")
    assert "<script" not in text and text.count("</title") == 1
    assert "A$$AP &lt;script&gt;" in text
    dataset, frame = table("dataset"), table("frame")
    for figure in (
        plot_film.plot_scenes(table("cluster"), frame),
        recognition.plot_presence(table("label"), frame),
        recognition.plot_similarity(table("label"), 0.4, 0.4),
        dataset_coverage.plot_cells(dataset),
        dataset_coverage.plot_balance(dataset),
        dataset_coverage.plot_places(dataset),
        dataset_coverage.plot_reasons(table("candidate")),
        training.plot_picture_similarity(table("picture")),
        style.empty_plot(NAME),
    ):
        assert style.to_png(figure)[:4] == b"\x89PNG"
    for tiles in (
        tile.scenes(space.root, table("cluster"), frame),
        tile.drawings(space.root, table("picture")),
    ):
        assert contact_sheet.rows(tiles).width < 2000


def test_loss_that_did_not_fall_is_said(space, data, table):
    run = table("training_run").with_columns(held_out_loss_last=pl.lit(0.96, pl.Float32))
    store.write(space.table, "training_run", run)
    assert "did not fall" in model.fine_tune(data).texts[0]


@pytest.mark.parametrize(
    ("base", "adapter", "word"),
    [(0.3, 0.31, "not noticeably more like"), (0.3, 0.5, "more like"), (0.5, 0.3, "less like")],
)
def test_similarity_in_words(space, data, table, base, adapter, word):
    score = pl.when(pl.col("adapter_file").is_null()).then(base).otherwise(adapter)
    picture = table("picture").with_columns(similarity=score.cast(pl.Float32))
    store.write(space.table, "picture", picture)
    assert f"the generated pictures are {word}" in model.drawings(data).texts[1]


def test_no_set_says_why(space, data, table):
    store.write(space.table, "dataset", table("dataset").clear())
    assert "Stage dataset has not run" in coverage.training_set(data).missing
    record = {"name": "dataset", "status": "done", "note": "nobody is labelled"}
    atomic.write_bytes(space.stage("dataset") / "stage.json", json.dumps(record).encode())
    fresh = section.ReportData(root=data.root, film_id=data.film_id, config=data.config)
    assert coverage.training_set(fresh).missing == "nobody is labelled"


def test_rough_likeness_is_said(space, data, monkeypatch):
    """Without the network's package thumbnails describe the pictures."""
    net = model_file.MODELS[efficientnet.NAME]
    missing = model_file.Model(**vars(net) | {"package": "no_such_package_here"})
    monkeypatch.setitem(model_file.MODELS, efficientnet.NAME, missing)
    assert "thumbnails" in coverage.training_set(data).notes[0]


def test_nothing_trained_says_why(space, data, table):
    store.write(space.table, "training_run", table("training_run").clear())
    record = {"name": "finetune", "status": "done", "note": "nobody is labelled"}
    atomic.write_bytes(space.stage("finetune") / "stage.json", json.dumps(record).encode())
    assert model.fine_tune(data).missing == "nobody is labelled"


def test_truth_is_judged_on_the_sample_only(space, data, table):
    assert model.truth(data) is None
    film = table("film").with_columns(content_hash=pl.lit(file_hash.hash_file(demo.film_path())))
    store.write(space.table, "film", film)
    data = section.ReportData(root=data.root, film_id=data.film_id, config=data.config)
    rows = model.truth(data).grids[0].rows
    assert [row[0] for row in rows[:2]] == ["shots", "all labels"]


def shots(starts: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"first_frame_index": starts})


def test_cuts_by_hand():
    true = pl.DataFrame(
        {
            "shot_index": [0, 1, 2, 3],
            "first_frame_index": [0, 100, 200, 300],
            "transition_first_frame_index": [None, None, 190, None],
            "transition_end_frame_index": [None, None, 210, None],
        }
    )
    score = model.score_cuts(shots([0, 101, 195, 250]), true)
    assert (score.num_right, score.precision, score.recall) == (2, 2 / 3, 2 / 3)
    assert model.score_cuts(shots([0]), true).recall == 0
    assert model.score_cuts(shots([0]), true).precision is None


def test_names_by_hand():
    frame = pl.DataFrame({"frame_id": ["f0", "f1", "f2"], "frame_index": [0, 10, 20]})
    box = pl.DataFrame(
        {
            "frame_index": [0, 10, 20, 20, 30],
            "character": ["clover", "clover", "clover", "bolt", "clover"],
            "visible_share": [1.0, 0.9, 0.1, 1.0, 1.0],
        }
    )
    label = pl.DataFrame(
        {"frame_id": ["f0", "f2", "f1", "f0"], "character": ["clover", "clover", "pip", None]}
    )
    scores = {s.what: s for s in model.score_names(label, frame, box, ["clover", "pip"])}
    # f2: hardly visible, so clover need not be named there but may be; bolt has no reference
    assert (scores["label clover"].precision, scores["label clover"].recall) == (1.0, 0.5)
    assert (scores["label pip"].precision, scores["label pip"].recall) == (0.0, None)
    assert (scores["all labels"].precision, scores["all labels"].recall) == (2 / 3, 0.5)


def test_words():
    assert share(0, 0) == "0"
    assert style.plural(0, "shot") == "0 shots"
    assert style.plural(1200, "shot") == "1,200 shots"
