"""Reference pictures judged from vectors made by hand."""

import numpy as np
import pytest

from bunny.character import reference_check
from bunny.character.reference_check import ReferencePicture

NO_BANK = np.empty((0, 2))


def at(degree, *more):
    """Unit vectors in a plane; the cosine of the angle between two is their similarity."""
    angle = np.radians([degree, *more])
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def picture(name, vector, **given):
    common = {"character": name.split("/")[0], "medium": "drawn", "size_px": 200}
    return ReferencePicture(reference_id=name, vector=vector, **(common | given))


def judge(*pictures, bank=NO_BANK, **given):
    return reference_check.judge(pictures, bank, **({"level": 0.78, "face_level": 0.38} | given))


def test_the_nearest_view_of_each_side_counts():
    """bruno's second picture is 60 degrees off by its nearer view, anna's 90 degrees."""
    first, second, anna = judge(
        picture("bruno/1.png", at(0)),
        picture("bruno/2.png", at(60, 120)),
        picture("anna/1.png", at(90)),
    )
    assert first.own_similarity == pytest.approx(0.5)
    assert (first.other_similarity, first.other_character) == (pytest.approx(0), "anna")
    assert second.other_similarity == pytest.approx(np.cos(np.radians(30)))
    assert (first.num_own, anna.num_own, anna.own_similarity) == (2, 1, None)


def test_drawings_are_not_compared_with_faces():
    drawn, face = judge(
        picture("bruno/1.png", at(0)), picture("anna/1.png", at(0), medium="photographed")
    )
    assert drawn.other_similarity is None and face.other_similarity is None
    assert face.impostor_share is None


def test_a_face_of_dlib_is_put_on_the_common_scale():
    faces = [picture(f"{n}/1.jpg", at(d), medium="photographed") for n, d in (("a", 0), ("b", 60))]
    sface, _ = judge(*faces)
    dlib, _ = judge(*faces, recogniser="dlib")
    assert sface.other_similarity == pytest.approx(0.5)
    assert dlib.other_similarity < sface.other_similarity
    assert sface.is_alike and not dlib.is_alike


def test_impostors_pass_by_similarity_and_lead():
    """Of four strangers one lies at 15 degrees, 0.966 alike, the others at 90 and more.

    Its rival is their mean, (cos 75 + cos 90 + cos 105) / 3 = 0: 0.966 + 2 * 0.25 passes 0.78. The
    one at 90 is 0 alike to the picture and behind: it does not.
    """
    bank = at(15, 90, 105, 120)
    assert reference_check.impostor_share(at(0), NO_BANK, bank, 0.78) == 0.25
    assert reference_check.impostor_share(at(0), NO_BANK, bank, 1.47) == 0.0


def test_another_character_that_is_as_near_takes_the_lead():
    """At 15 degrees from both, without a lead 0.966 is the whole score."""
    bank = at(15, 90, 105, 120)
    assert reference_check.impostor_share(at(0), at(30), bank, 0.97) == 0.0
    assert reference_check.impostor_share(at(0), at(30), bank, 0.96) == 0.25


def test_strangers_of_the_film_have_the_whole_bank_as_rivals():
    bank = at(10)
    passed = reference_check.impostor_share(at(0), NO_BANK, bank, 0.78, at(20, 180))
    assert passed == 0.5  # 0.940 + 2 * (0.940 - 0.985) = 0.85
    near = reference_check.impostor_share(at(0), NO_BANK, bank, 0.86, at(20, 180))
    assert near == 0.0
    assert reference_check.impostor_share(at(0), NO_BANK, bank, 0.78, at(0)[:0]) is None
    assert reference_check.impostor_share(at(0), NO_BANK, NO_BANK, 0.78) is None


def test_two_characters_are_too_alike_as_few_of_the_bank_are():
    """Strangers at right angles: from 0 on two are alike, unless their own are nearer."""
    bank = np.vstack([at(0), at(90), at(180)])
    level = reference_check.alike_level(bank)
    assert level == pytest.approx(0.0, abs=1e-9)  # pairs: 0, 0, -1
    assert reference_check.alike_level(bank[:1]) == 1.0
    alone, other = judge(picture("a/1.png", at(0)), picture("b/1.png", at(60)), bank=bank)
    assert alone.is_alike and other.is_alike
    own, *_ = judge(
        picture("a/1.png", at(0)), picture("b/1.png", at(60)), picture("a/2.png", at(50)), bank=bank
    )
    assert not own.is_alike  # its own is nearer


@pytest.mark.parametrize(
    ("column", "depth"),
    [
        ([0, 4, 1, 2, 0], 0.25),  # the lower hill is 2, the valley 1, the highest 4
        ([0, 1, 2, 3], 0.0),
        ([3, 0, 3], 1.0),
        ([1, 1], 0.0),
        ([0, 0, 0], 0.0),
    ],
)
def test_the_depth_of_a_valley(column, depth):
    assert reference_check.valley(np.array(column, float)) == depth


def test_two_hills_side_by_side_are_two_figures():
    assert reference_check.has_two_figures(np.tile([0.0, 4, 2, 4, 0], (3, 1)))  # exactly a half
    assert not reference_check.has_two_figures(np.tile([0.0, 4, 2.1, 4, 0], (3, 1)))
    assert not reference_check.has_two_figures(np.tile([[0.0], [4], [0], [4]], (1, 4)))  # on top


def test_a_side_that_shows_as_much_as_the_middle_is_cut():
    """Mean of the columns 2; 0.45 of it is 0.9."""
    assert reference_check.cut_sides(np.array([[0.9, 4, 2.6, 0.5]])) == ("left",)
    assert reference_check.cut_sides(np.array([[0.8, 4, 2.3, 0.9]])) == ("right",)
    assert reference_check.cut_sides(np.array([[1.0, 1.0]])) == ()
    assert reference_check.cut_sides(np.zeros((2, 4))) == ()


def test_the_amount_leaves_out_basis_and_figureness():
    cells = np.zeros((1, 1, reference_check.figure_embedding.RAW))
    cells[0, 0, [0, 256, 257, -1]] = (9, 3, 4, 9)
    assert reference_check.amount_of_figure(cells).tolist() == [[5.0]]


def test_every_fault_has_its_sentence():
    judged = judge(
        picture("popeye/1.png", at(0), has_two=True, cut=("left",)),
        picture("popeye/2.png", at(0), size_px=95),
        picture("popeye/3.png", at(0), size_px=96),
        picture("koby/1.png", at(90), text="subtitle"),
        picture("koby/2.png", at(90), text="text", cut=("left", "right")),
        picture("anna/1.png", None, medium="photographed", error="expected a picture"),
        picture("bruno/1.png", at(180)),
    )
    assert reference_check.advise(judged) == [
        "popeye/1.png: shows two figures; crop it to popeye alone",
        "popeye/2.png: only 95 px on its shorter side; use a picture of 96 px or more",
        "koby/1.png: text overlaps the figure; crop above the subtitle",
        "koby/2.png: the figure is cut off at the left and right; include more of the picture",
        "koby/2.png: text in the picture; crop it out",
        "anna/1.png: expected a picture",
        "bruno: only one picture; add a second picture that shows bruno alone from another side",
    ]
    assert reference_check.count_better(judged) == 6
    line = "reference pictures: 6 of 7 could be better (see `bunny references DIR`)"
    assert reference_check.summarise(judged) == line


def test_a_pair_is_named_once_with_its_greatest_similarity():
    bank = at(0, 90, 180)
    pictures = [
        picture("sindbad/1.png", at(0)),
        picture("popeye/1.png", at(60)),
        picture("popeye/2.png", at(-120)),
    ]
    assert reference_check.advise(judge(*pictures, bank=bank, level=9))[-1] == (
        "popeye and sindbad look alike (similarity 0.50); add another picture of each"
    )


def test_strangers_that_pass_are_told():
    one = judge(
        picture("bruno/1.png", at(0)),
        picture("bruno/2.png", at(0)),
        bank=at(15, 90, 105, 120),
        impostor={"bruno": at(5, 90)},
    )
    assert reference_check.advise(one)[:2] == [
        (
            "bruno/1.png: 25.0% of the strangers in the built-in bank would be recognised as "
            "bruno; use a clearer picture"
        ),
        (
            "bruno/1.png: 50.0% of the strangers in the film would be recognised as bruno; "
            "use a clearer picture"
        ),
    ]


def test_nothing_to_say_of_good_ones():
    judged = judge(picture("a/1.png", at(0)), picture("a/2.png", at(10)))
    assert reference_check.advise(judged) == [] and reference_check.summarise(judged) == ""
