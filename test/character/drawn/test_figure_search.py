import cv2
import numpy as np
import pytest

from bunny.character.drawn import figure_embedding, figure_search


@pytest.fixture(scope="module")
def net():
    return figure_embedding.FigureNet()


def figure(colour, hat):
    """A round figure with eyes, a hat and feet, 96 px high, and where it is."""
    image = np.zeros((96, 72, 3), np.uint8)
    mask = np.zeros((96, 72), np.uint8)
    for layer, paint in ((image, True), (mask, False)):
        cv2.ellipse(layer, (36, 60), (30, 32), 0, 0, 360, colour if paint else 255, -1)
        cv2.rectangle(layer, (16, 4), (56, 30), hat if paint else 255, -1)
        cv2.circle(layer, (26, 52), 7, (255, 255, 255) if paint else 255, -1)
        cv2.circle(layer, (46, 52), 7, (255, 255, 255) if paint else 255, -1)
        cv2.circle(layer, (26, 52), 3, (0, 0, 0) if paint else 255, -1)
        cv2.circle(layer, (46, 52), 3, (0, 0, 0) if paint else 255, -1)
    return image, mask


ANNA, BEN = figure((40, 40, 220), (230, 200, 40)), figure((60, 180, 60), (20, 20, 20))


def scene(*placed, size=(360, 640)):
    """A pale room with figures at (x, y, height)."""
    image = np.full((*size, 3), (190, 205, 215), np.uint8)
    image[250:] = (120, 150, 170)
    cv2.rectangle(image, (40, 40), (140, 160), (230, 220, 200), -1)
    for (drawn, mask), x, y, height in placed:
        wide = round(72 * height / 96)
        part = cv2.resize(drawn, (wide, height))
        shape = cv2.resize(mask, (wide, height))[..., None] > 127
        image[y : y + height, x : x + wide] = np.where(
            shape, part, image[y : y + height, x : x + wide]
        )
    return image


def look(net, image, cast):
    return {one.candidate: one for one in figure_search.find(net, image, cast) if one.candidate}


@pytest.fixture(scope="module")
def cast(net):
    mean = figure_search.describe(net, scene(), figure_search.QUICK)[1].mean(axis=0)
    reference = {
        name: net.describe_reference(scene((who, 30, 20, 160), size=(200, 180)))
        for name, who in (("anna", ANNA), ("ben", BEN))
    }
    return figure_search.make_reference_set(net, reference, mean)


def test_two_figures_are_told_apart_and_lie_where_they_are(net, cast):
    found = look(net, scene((ANNA, 80, 130, 200), (BEN, 430, 130, 200)), cast)
    for name, left in (("anna", 80), ("ben", 430)):
        x0, _, x1, _ = found[name].box * 640
        assert left <= (x0 + x1) / 2 <= left + 150
        assert found[name].similarity > 0.4 and found[name].margin > 0.05


def test_who_is_not_there_scores_far_below_who_is(net, cast):
    found = look(net, scene((ANNA, 250, 120, 220)), cast)
    anna, ben = found["anna"], found.get("ben")
    assert ben is None or ben.similarity + 2 * ben.margin < anna.similarity + 2 * anna.margin - 0.4


def test_a_lead_alone_is_over_the_bank(net, cast):
    alone = figure_search.FigureReferenceSet(
        reference={"anna": cast.reference["anna"]}, bank=cast.bank, mean=cast.mean
    )
    found = look(net, scene((ANNA, 250, 120, 220)), alone)["anna"]
    no_bank = figure_search.FigureReferenceSet(
        reference=alone.reference, bank=cast.bank[:0], mean=cast.mean
    )
    over_nothing = look(net, scene((ANNA, 250, 120, 220)), no_bank)["anna"]
    assert found.similarity == pytest.approx(over_nothing.similarity)
    assert 0 < found.margin < over_nothing.margin - 0.5


def test_nobody_to_look_for_still_finds_figures(net, cast):
    nobody = figure_search.FigureReferenceSet(reference={}, bank=cast.bank, mean=cast.mean)
    found = figure_search.find(net, scene((ANNA, 250, 120, 220)), nobody)
    assert all(one.candidate is None and one.similarity is None for one in found)
    assert len(found) <= figure_search.NUM_FIGURES


def test_similarity_is_to_the_nearest_view():
    vector = np.eye(3, dtype=np.float32)
    reference = {"b": vector[1:2], "a": np.stack([vector[0], vector[2]])}
    assert figure_search.compare(vector, reference).tolist() == [[1, 0], [0, 1], [1, 0]]
    assert figure_search.compare(vector, {}).shape == (3, 0)


def test_a_loose_box_is_drawn_in_to_the_figure():
    image = scene((ANNA, 250, 120, 220))  # 165 px wide: 250 to 415, 120 to 340; the disc less
    box = np.array([150 / 640, 60 / 360, 500 / 640, 355 / 360])
    x0, y0, x1, y1 = figure_search.fit_box(image, box) * [640, 360, 640, 360]
    assert abs(x0 - 264) < 12 and abs(x1 - 401) < 12  # the disc is 60 of 72 wide
    assert abs(y0 - 129) < 12 and abs(y1 - 331) < 12  # hat from 4, disc to 92 of 96


def test_a_box_without_anything_in_it_stays_as_it_is():
    image = np.full((360, 640, 3), 128, np.uint8)
    box = np.array([0.2, 0.2, 0.6, 0.6])
    assert figure_search.fit_box(image, box).tolist() == box.tolist()
    tiny = np.array([0.5, 0.5, 0.51, 0.51])
    assert figure_search.fit_box(image, tiny).tolist() == tiny.tolist()
    whole = np.array([0.0, 0.0, 1.0, 1.0])  # nothing is around it that could be the ground
    assert figure_search.fit_box(scene((ANNA, 250, 120, 220)), whole).tolist() == whole.tolist()
