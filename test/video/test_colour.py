"""High dynamic range and wide gamut made standard."""

from fractions import Fraction

import av
import numpy as np
import pytest

from bunny.core.config import ExtractionConfig
from bunny.video import decode, probe, tone_mapping
from bunny.video import frame as video_frame

WHITE = 65280


def _grey(code):
    return np.full((1, 1, 3), round(code * WHITE), np.uint16)


def _pq(nits):
    return float(tone_mapping.encode_pq(np.float64(nits)))


def test_pq_by_the_standard():
    # SMPTE ST 2084 and ITU-R BT.2408: 100, 203 and 1000 cd/m2 are 50.8, 58.1 and 75.2 %.
    assert [round(_pq(n), 3) for n in (0, 100, 203, 1000, 10_000)] == [0, 0.508, 0.581, 0.752, 1]
    nits = np.array([0.01, 1, 100, 4000])
    assert tone_mapping.decode_pq(tone_mapping.encode_pq(nits)) == pytest.approx(nits, rel=1e-9)


@pytest.mark.parametrize(
    ("curve", "nits", "wanted"),
    [
        # 50 cd/m2 lie below the knee: 50 / 203 = 0.2463 of white, in sRGB 0.5334.
        ("bt2390", 50, 136),
        # t = 1/3 of the way from the knee, 0.659 of the peak's code: rolled to 0.739, 159 cd/m2.
        ("bt2390", 203, 229),
        ("bt2390", 1000, 255),
        ("clip", 101.5, 188),  # half of linear white
        ("clip", 203, 255),
        ("clip", 900, 255),
        ("reinhard", 203, 191),  # (1 + 1 / 4.926**2) / 2 = 0.5206
        ("reinhard", 1000, 255),
        ("hable", 203, 168),  # 0.2207 / 0.5646 = 0.3909
        ("hable", 1000, 255),
    ],
)
def test_curves_by_hand(curve, nits, wanted):
    shown = tone_mapping.to_standard_range(_grey(_pq(nits)), "pq", curve=curve)[0, 0]
    assert np.all(np.abs(shown.astype(int) - wanted) <= 1)


@pytest.mark.parametrize("curve", sorted(tone_mapping.CURVE))
@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_brighter_codes_are_never_darker(curve, transfer):
    ramp = np.linspace(0, WHITE, 3000).round().astype(np.uint16)[None, :, None].repeat(3, axis=2)
    shown = tone_mapping.to_standard_range(ramp, transfer, curve=curve)[0].astype(int)
    assert shown[0].max() == 0 and shown[-1].min() == 255
    assert np.all(np.diff(shown, axis=0) >= 0) and np.ptp(shown, axis=1).max() <= 1


def test_the_films_own_peak_becomes_white_and_dim_films_are_left_alone():
    at_600 = tone_mapping.to_standard_range(_grey(_pq(600)), "pq", peak_nits=600)
    assert at_600.min() >= 254
    at_100 = tone_mapping.to_standard_range(_grey(_pq(100)), "pq", peak_nits=150)
    # 100 / 203 = 0.4926 of white, in sRGB 0.7306
    assert np.all(np.abs(at_100.astype(int) - 186) <= 1)


def test_hlg_reference_white_is_that_of_pq():
    # ITU-R BT.2408: 75 % of HLG is 203 cd/m2 on a display of 1000.
    shown = tone_mapping.to_standard_range(_grey(0.75), "hlg")[0, 0].astype(int)
    assert np.all(np.abs(shown - 229) <= 1)


def test_matrix_of_bt2087_and_identity():
    wanted = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    assert tone_mapping.to_bt709("bt2020") == pytest.approx(np.array(wanted), abs=1e-4)
    assert tone_mapping.to_bt709("bt709") == pytest.approx(np.eye(3), abs=1e-6)


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_each_line_is_converted_alone_and_in_its_place(transfer):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, WHITE, (70, 9, 3)).astype(np.uint16)
    whole = tone_mapping.to_standard_range(noise, transfer)
    lines = [tone_mapping.to_standard_range(noise[y : y + 1], transfer) for y in range(70)]
    assert whole.dtype == np.uint8 and np.array_equal(whole, np.concatenate(lines))


def test_wide_gamut_keeps_greys_and_moves_colours():
    ramp = np.linspace(0, WHITE, 256).round().astype(np.uint16)[None, :, None].repeat(3, axis=2)
    shown = tone_mapping.to_standard_gamut(ramp, "bt2020")[0].astype(int)
    assert np.abs(shown - np.arange(256)[:, None]).max() <= 1
    # BT.709 red in BT.2020 is linear (0.6274, 0.0691, 0.0164): BT.2087.
    red = np.array([0.6274, 0.0691, 0.0164]) ** (1 / 2.4) * WHITE
    shown = tone_mapping.to_standard_gamut(red.round().astype(np.uint16)[None, None], "bt2020")[
        0, 0
    ]
    assert shown[0] >= 254 and shown[1:].max() <= 10


def _write(path, codes, bits, codec, trc, primaries, matrix, options=None):
    """A film of one row of grey steps, each 16 px wide, with the luma codes given."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=24, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 16 * len(codes), 64, f"yuv420p{bits}le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = trc, primaries, matrix
        context.color_range = 1
        frame = av.VideoFrame(stream.width, 64, stream.pix_fmt)
        for number, plane in enumerate(frame.planes):
            lines = np.zeros((plane.height, plane.line_size // 2), "<u2")
            lines[:, : plane.width] = np.repeat(codes, 16) if number == 0 else 1 << (bits - 1)
            plane.update(lines.tobytes())
        for name, value in (("color_trc", trc), ("color_primaries", primaries)):
            setattr(frame, name, value)
        frame.colorspace, frame.color_range = matrix, 1
        for index in range(2):
            frame.pts, frame.time_base = index, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _shown(path, **setting):
    info = probe.probe(path)
    frame = next(decode.iterate_frames(info))
    bgr = video_frame.to_bgr(frame, info, ExtractionConfig(**setting))
    return info, bgr[32, 8::16].astype(int)


X265 = "log-level=none:lossless=1"
NITS = [0, 5, 50, 203, 1000]
BY_BT2390 = [0, 43, 136, 229, 255]  # 5 / 203 = 0.02463 of white, in sRGB 0.1704


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mkv", "ffv1", None),
        ("a.ts", "libx265", {"x265-params": f"{X265}:colorprim=bt2020:transfer=smpte2084"}),
    ],
)
def test_a_pq_film_of_known_light_gives_known_codes(tmp_path, name, codec, options):
    codes = [round(64 + 876 * _pq(n)) for n in NITS]  # limited range, 10 bits
    path = _write(tmp_path / name, codes, 10, codec, 16, 9, 9, options)
    info, shown = _shown(path)
    assert (info.color_transfer, info.color_primaries) == ("pq", "bt2020")
    # 10 bits round PQ to about 1 % of light.
    assert np.abs(shown - np.array(BY_BT2390)[:, None]).max() <= 2
    _, clipped = _shown(path, tone_curve="clip")
    assert np.abs(clipped[3:] - 255).max() <= 1


def test_the_peak_is_read_from_the_content_light_level(tmp_path):
    params = f"{X265}:colorprim=bt2020:transfer=smpte2084:max-cll=600,200"
    codes = [round(64 + 876 * _pq(600))] * 5
    path = _write(tmp_path / "a.mkv", codes, 10, "libx265", 16, 9, 9, {"x265-params": params})
    info, shown = _shown(path)
    assert info.peak_nits == 600
    assert shown.min() >= 254


def test_the_peak_is_read_from_the_mastering_display(tmp_path):
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)"
    params = f"{X265}:colorprim=bt2020:transfer=smpte2084:master-display={display}"
    path = _write(tmp_path / "a.mkv", [500] * 5, 10, "libx265", 16, 9, 9, {"x265-params": params})
    assert probe.probe(path).peak_nits == 4000


def test_an_hlg_film_is_tone_mapped(tmp_path):
    codes = [64, round(64 + 876 * 0.75), 940]
    info, shown = _shown(_write(tmp_path / "a.mkv", codes, 10, "ffv1", 18, 9, 9))
    assert info.color_transfer == "hlg"
    assert np.abs(shown - np.array([0, 229, 255])[:, None]).max() <= 2


def test_a_wide_gamut_film_of_standard_range_keeps_its_greys(tmp_path):
    codes = np.linspace(64, 940, 20).round().astype(int)
    info, shown = _shown(_write(tmp_path / "a.mkv", codes, 10, "ffv1", 14, 9, 9))
    assert (info.color_transfer, info.color_primaries) == ("bt2020-10", "bt2020")
    assert np.abs(shown - ((codes - 64) * 255 / 876)[:, None]).max() <= 1


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_films_are_rounded_not_cut(tmp_path, bits):
    codes = np.linspace(64, 940, 120).round().astype(int) << (bits - 10)
    _, shown = _shown(_write(tmp_path / "a.mkv", codes, bits, "ffv1", 1, 1, 1))
    exact = (codes - (64 << (bits - 10))) * 255 / (876 << (bits - 10))
    assert np.abs(shown - exact[:, None]).max() <= 0.55  # cutting would reach 1
