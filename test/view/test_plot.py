import polars as pl
import pytest

from bunny.table import store
from bunny.view import style
from bunny.view.plot import film, recognition, training

TIMES = pl.DataFrame({"name": ["extract", "filter"], "seconds": [90.0, 0.02]})
PLOT = {
    "shots": lambda t: film.plot_shots(t("shot"), t("frame"), t("quality")),
    "blur": lambda t: film.plot_blur(t("quality"), 0.2),
    "reasons": lambda t: film.plot_reasons(t("quality")),
    "scenes": lambda t: film.plot_scenes(t("cluster"), t("frame")),
    "similarity": lambda t: recognition.plot_similarity(t("label"), 0.45, 0.42),
    "presence": lambda t: recognition.plot_presence(t("label"), t("frame")),
    "captions": lambda t: recognition.plot_captions(t("caption")),
    "loss": lambda t: training.plot_loss(t("training_step")),
    "drawings": lambda t: training.plot_picture_similarity(t("picture")),
}


def width_px(png: bytes) -> int:
    return int.from_bytes(png[16:20], "big")


@pytest.mark.parametrize("name", PLOT)
def test_plot_of_a_film(name, table, look):
    """Drawn without a warning (they are errors) at the size of the theme, as it was kept."""
    png = style.to_png(PLOT[name](table))
    look(f"plot-{name}", png)
    assert width_px(png) in (round(8.0 * 96), round(5.5 * 96), round(5.0 * 96))


@pytest.mark.parametrize("name", PLOT)
def test_plot_of_nothing_says_so(name):
    figure = PLOT[name](lambda name: store.from_rows(name, []))
    assert type(figure.layers[0].geom).__name__ == "geom_text"
    assert style.to_png(figure).startswith(b"\x89PNG")


def test_plots_of_one_row(table):
    one = {n: table(n).head(1) for n in ("shot", "frame", "quality", "cluster", "training_step")}
    one["picture"] = table("picture").head(1)
    for name in ("shots", "blur", "scenes", "loss", "drawings"):
        assert style.to_png(PLOT[name](one.get)).startswith(b"\x89PNG")


def test_shots_counts_pictures_without_a_decision_as_kept(table):
    quality = table("quality").head(0)
    figure = film.plot_shots(table("shot"), table("frame"), quality)
    assert figure.labels.subtitle == "24 frames extracted, 24 kept"


def test_a_score_at_the_threshold_is_sharp_enough():
    quality = pl.DataFrame({"blur_score": [0.1, 0.25, 0.5, None]})
    figure = film.plot_blur(quality, 0.25)
    assert figure.labels.subtitle == "1 of 3 below the threshold 0.25"


def lanes_of(figure) -> list[str]:
    """Lanes of a plot, from the top."""
    return figure.scales.get_scales("y").limits[::-1]


def test_scenes_are_lanes_and_noise_comes_last(table):
    figure = film.plot_scenes(table("cluster"), table("frame"))
    assert lanes_of(figure) == ["scene-000", "scene-001", "scene-002", film.NO_SCENE]


def test_only_so_many_lanes_as_read_well():
    names = [f"s{i:02d}" for i in range(40)] + ["s07"]
    ids = [str(i) for i in range(41)]
    cluster = pl.DataFrame({"item_id": ids, "cluster_id": names, "level": "scene"})
    frame = pl.DataFrame(
        {"frame_id": ids, "shot_index": range(41), "timestamp_s": [float(i) for i in range(41)]}
    )
    lanes = lanes_of(film.plot_scenes(cluster, frame))
    assert len(lanes) == film.MAX_LANES
    assert "s07" in lanes and "s39" not in lanes


def test_stage_times_say_the_sum(look):
    figure = film.plot_stage_times(TIMES)
    assert figure.labels.title == "Run time by stage: 1 min 30 s in total"
    look("plot-stage-times", style.to_png(figure))
