"""The decisions put together: a set that is large and varied, from tables alone."""

import numpy as np
import polars as pl

from bunny.core.config import FilteringConfig, ModelsConfig
from bunny.dataset import candidate, crop, select

NOTHING = pl.DataFrame(
    schema={"subject_id": pl.String, "sharpness": pl.Float64, "luma": pl.Float64}
)


def choose(tables, subject=NOTHING, **models):
    views = candidate.gather("bunny", tables, subject)
    rule = crop.CropSetting(shapes=((1024, 1024),), models=ModelsConfig(**models))
    verdicts = candidate.judge(views, tables["quality"], {}, rule.dataset, FilteringConfig())
    return views, select.choose(views, verdicts, tables, rule, FilteringConfig())


def reasons(made):
    return [v.reason for v in made.verdicts]


def test_every_view_has_a_reason_or_is_chosen(film_tables):
    views, made = choose(
        film_tables(
            [
                {"shot": 0, "phash": 7},
                {"shot": 0, "phash": 7, "confidence": 0.8},
                {"shot": 1, "phash": 7},  # the same picture in another shot
                {"shot": 1, "phash": 7, "box": (400, 80, 500, 280)},
                {"shot": 2, "filter": "credit"},
            ]
        )
    )
    assert reasons(made) == ["", "duplicate", "duplicate", "", "filtered"]
    assert [v.duplicate_of for v in made.verdicts[1:3]] == [views[0].subject_id] * 2
    assert set(made.gains) == {0, 3}
    assert {row for row, _ in made.picked} == {0, 3}


def test_one_frame_gives_one_view_though_a_face_and_a_figure_are_labelled(film_tables):
    rows = [
        {"shot": 0, "frame_id": "a", "box": (100, 80, 300, 340), "confidence": 0.7},
        {"shot": 0, "frame_id": "a", "box": (150, 90, 210, 160), "type": "face"},
    ]
    views, made = choose(film_tables(rows))
    (kept,) = made.gains
    assert views[kept].is_face
    (other,) = [v for v in made.verdicts if v.reason]
    assert (other.reason, other.detail) == ("duplicate", "the same frame again")


def test_surplus_when_enough_are_there_and_number_is_reached(film_tables):
    _, made = choose(film_tables([{"shot": i} for i in range(30)]), max_images=12)
    assert reasons(made).count("") == 12 == len(made.picked)
    assert reasons(made).count("surplus") == 18
    # few views give more windows, up to the number asked for
    _, made = choose(film_tables([{"shot": i} for i in range(5)]), max_images=12)
    assert len(made.gains) == 5 and 5 < len(made.picked) <= 12


def test_small_says_by_how_much(film_tables):
    tables = film_tables([{"shot": 0, "box": (10, 10, 40, 40)}])
    size = {"width_px": pl.lit(80, pl.Int32), "height_px": pl.lit(50, pl.Int32)}
    _, made = choose({**tables, "frame": tables["frame"].with_columns(**size)})
    assert reasons(made) == ["small"]
    what = "would be enlarged 2.6 times to 128 px, dataset.max_upscale is 2"
    assert made.verdicts[0].detail == what


def test_alone_comes_first_and_crowded_fills_up(film_tables):
    pair = [{"box": (100, 80, 200, 280)}, {"box": (160, 80, 260, 280), "who": "anna"}]
    rows = [{"shot": i} for i in range(4)]
    rows += [{"shot": 9 + i, "frame_id": f"p{i}", **who} for i in range(4) for who in pair]
    views, made = choose(film_tables(rows), max_images=4)
    assert {views[row].shot_index for row in made.gains} == {0, 1, 2, 3}
    assert reasons(made)[4:] == ["crowded"] * 4
    _, made = choose(film_tables(rows), max_images=6)
    assert reasons(made).count("") == 6 and reasons(made).count("crowded") == 2


def test_nothing_to_choose_from(film_tables):
    views, made = choose(film_tables([]))
    assert (views, made.verdicts, made.gains, made.picked) == ([], [], {}, [])


def make_long_film(film_tables, shots: int = 1200, share: float = 0.35) -> dict[str, pl.DataFrame]:
    """A film of 90 minutes: three frames a shot, the bunny in some of the shots, as a face."""
    rng = np.random.default_rng(0)
    rows = []
    for shot in np.flatnonzero(rng.random(shots) < share):
        yaw, height = (
            rng.normal(0, 0.35),
            int(rng.choice([30, 60, 110, 200], p=[0.3, 0.4, 0.2, 0.1])),
        )
        x, phash = int(rng.integers(0, 400)), int(rng.integers(0, 2**63))
        for step in range(3):
            left = x + 40 * step if step else x
            rows.append(
                {
                    "shot": int(shot),
                    "type": "face",
                    "box": (left, 60, left + height, 60 + height),
                    "yaw": float(np.clip(yaw + 0.1 * step, -1, 1)),
                    "phash": phash if step < 2 else phash ^ 0xFFF,
                    "place": f"scene-{shot % 40:03d}",
                    "light": float(rng.random()),
                    "sharpness": float(rng.gamma(4, 40)),
                    "vector": rng.normal(size=16),
                }
            )
    return film_tables(rows)


def test_long_film_gives_five_hundred_varied_pictures(film_tables):
    tables = make_long_film(film_tables)
    views, made = choose(tables, max_images=500)
    assert len(views) > 1100
    assert len(made.gains) == len(made.picked) == 500
    chosen = [views[row] for row in made.gains]
    free = [v for v, d in zip(views, made.verdicts, strict=True) if d.reason in ("", "surplus")]
    assert len(free) > 600  # there was something to choose

    def share(rows, attribute):
        values = [getattr(v, attribute) for v in rows]
        return {v: values.count(v) / len(values) for v in set(values)}

    for attribute in ("pose", "shot_size", "light", "place"):
        before, after = share(free, attribute), share(chosen, attribute)
        assert set(after) == set(before)  # nothing that the film shows is missing
        assert max(after.values()) <= max(before.values()) + 0.01  # nothing takes more room
    rare = min(share(free, "pose"), key=share(free, "pose").get)
    assert rare in ("left-profile", "right-profile")
    assert share(chosen, "pose")[rare] > share(free, "pose")[rare]
