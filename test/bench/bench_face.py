"""Finding and embedding faces against the plain `face_recognition` loop.

    python test/bench/bench_face.py [--material FOLDER] [--every 4] [--threads 2] [--repeat 1]

The peer is what its manual shows: `face_locations` and `face_encodings` on full pictures. Ours is
`detect.load_detector("yunet")` and SFace for every face of `EMBED_PX` and more, by one thread and
by a pool. On group pictures recall is counted over boxes made by hand; on films over what the peer
found, so that its false alarms count as our misses. Faces of known size are pasted into 1080p for
the last table. Ratios hold within one run; where others use the machine too, those of CPU time are
the better ones.
"""

import argparse
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from bunny.character.face import detect, dlib, recogniser

EMBED_PX = 24  # `detection.min_face_px`; smaller faces are found, not embedded
SCORE = 0.7  # `detection.min_face_score`
HIT = 0.3  # of intersection over union; hand-made boxes and the peer's are squares, ours are not
FILMS = ("short_hamilton_clip.mp4", "sintel_trailer-720p.mp4")
SIZES_PX = (12, 16, 20, 24, 32, 40)
PER_SCENE = 12  # pasted faces a picture

Finder = Callable[[np.ndarray], np.ndarray]  # to boxes (n, 4)


def main() -> None:
    """Print one Markdown table for speed and recall, one for small faces."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parents[3] / "shared" / "material"
    parser.add_argument("--material", type=Path, default=here)
    parser.add_argument("--every", type=float, default=4, help="seconds between frames")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1, help="the quickest of so many runs counts")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    groups = list(read_groups(args.material / "faces" / "faces"))
    print("| pictures | way | ms | times as fast | times less CPU | recall | faces | in no box |")
    print("|---|---|---|---|---|---|---|---|")
    compare(f"{len(groups)} group pictures", groups, args)
    for name in FILMS:
        frames = list(read_frames(args.material / "video" / name, args.every))
        compare(f"{len(frames)} of {name} {frames[0].shape[0]}p", frames_as_peer(frames), args)
        if frames[0].shape[1] != 1920:
            large = [cv2.resize(one, (1920, 1080)) for one in frames]
            compare(f"{len(large)} of {name} at 1080p", frames_as_peer(large), args)
    paste(groups)


def compare(title: str, pictures: list[tuple[np.ndarray, np.ndarray | None]], args) -> None:
    """One row a way; without boxes of their own pictures are scored on the peer's."""
    images = [image for image, _ in pictures]
    peer_s, peer_cpu_s, peer = timed(plain, images, 1, args.repeat)
    truth = [
        box if box is not None else seen for (_, box), seen in zip(pictures, peer, strict=True)
    ]
    rows = [("face_recognition", peer_s, peer_cpu_s, peer)]
    for small in (False, True):
        for threads in sorted({1, args.threads}):
            measured = timed(ours(has_small_faces=small), images, threads, args.repeat)
            word = "first look" if not small else "small faces too"
            rows.append((f"YuNet + SFace, {word}, {threads} threads", *measured))
    for way, took, cpu_s, found in rows:
        recall, extra = score(truth, found)
        number = sum(map(len, found))
        ms = took / len(images) * 1e3
        print(
            f"| {title} | {way} | {ms:.0f} | {peer_s / took:.1f} "
            f"| {peer_cpu_s / cpu_s:.1f} | {recall:.3f} | {number} | {extra} |",
            flush=True,
        )


def plain(image: np.ndarray) -> np.ndarray:
    """The loop of the manual: locations, then encodings."""
    library = dlib.import_face_recognition()
    rgb = np.ascontiguousarray(image[:, :, ::-1])
    places = library.face_locations(rgb)
    library.face_encodings(rgb, places)
    return np.array([(left, top, right, low) for top, right, low, left in places]).reshape(-1, 4)


def ours(*, has_small_faces: bool) -> Finder:
    """Detector, and embeddings of what is large enough."""
    find = detect.load_detector("yunet", has_small_faces=has_small_faces)
    own = threading.local()

    def look(image: np.ndarray) -> np.ndarray:
        if not hasattr(own, "describe"):
            own.describe = recogniser.load_recogniser("sface")
        faces = [face for face in find(image) if face.score >= SCORE]
        for face in faces:
            if face.size_px >= EMBED_PX:
                own.describe(image, face)
        return np.array([face.box for face in faces]).reshape(-1, 4)

    return look


def timed(
    find: Finder, images: list[np.ndarray], threads: int, repeat: int
) -> tuple[float, float, list[np.ndarray]]:
    """Seconds and CPU seconds of the quickest runs, and what was found; models are warm."""
    best = best_cpu = np.inf
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(find, images[:1] * threads * 2))
        for _ in range(repeat):
            begin, begin_cpu = time.perf_counter(), time.process_time()
            found = list(pool.map(find, images))
            best = min(best, time.perf_counter() - begin)
            best_cpu = min(best_cpu, time.process_time() - begin_cpu)
    return best, best_cpu, found


def score(truth: list[np.ndarray], found: list[np.ndarray]) -> tuple[float, int]:
    """Recall over boxes, and how many finds touch no box."""
    hit = total = extra = 0
    for want, got in zip(truth, found, strict=True):
        overlap = iou(want, got)
        hit += int((overlap.max(axis=1, initial=0) >= HIT).sum())
        extra += int((overlap.max(axis=0, initial=0) < 0.05).sum())
        total += len(want)
    return hit / max(1, total), extra


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair, shape (n, m)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    area = [np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (one, other)]
    return common / (area[0][:, None] + area[1][None] - common)


def paste(groups: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Faces of group pictures made small and set into empty 1080p: how many are found."""
    coarse = detect.load_detector("yunet", has_small_faces=False)
    faces = [(im, face.box) for im, _ in groups for face in coarse(im) if face.score > 0.8]
    ways = {"first look": coarse, "small faces too": detect.load_detector("yunet")}
    print(f"\n| height of a pasted face, px | {' | '.join(ways)} | faces |\n|---|---|---|---|")
    for size in SIZES_PX:
        hit, total = dict.fromkeys(ways, 0), 0
        for start in range(0, len(faces), PER_SCENE):
            scene, truth = compose(faces[start : start + PER_SCENE], size)
            total += len(truth)
            for name, find in ways.items():
                boxes = np.array([f.box for f in find(scene) if f.score >= SCORE]).reshape(-1, 4)
                hit[name] += int((iou(truth, boxes).max(axis=1, initial=0) >= HIT).sum())
        print(f"| {size} | {' | '.join(f'{n / total:.2f}' for n in hit.values())} | {total} |")


def compose(
    faces: list[tuple[np.ndarray, np.ndarray]], size_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """A 1080p picture with noise and one face a place, and their boxes; stored as JPEG once."""
    noise = np.random.default_rng(0).normal(110, 12, (270, 480, 3)).clip(0, 255).astype(np.uint8)
    scene = cv2.resize(noise, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    truth = []
    for i, (image, box) in enumerate(faces):
        x, y = 150 + 420 * (i % 4), 150 + 300 * (i // 4)
        factor = size_px / (box[3] - box[1])
        middle, half = (box[:2] + box[2:]) / 2, box[3] - box[1]
        x0, y0 = np.maximum(0, middle - half).astype(int)
        x1, y1 = (middle + half).astype(int)
        cut = image[y0:y1, x0:x1]
        cut = cv2.resize(cut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        scene[y : y + cut.shape[0], x : x + cut.shape[1]] = cut
        truth.append((box - [x0, y0, x0, y0]) * factor + [x, y, x, y])
    coded = cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR), np.array(truth)


def read_groups(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pictures with their hand-made boxes (dlib's XML)."""
    for name in ("training.xml", "testing.xml"):
        text = (folder / name).read_text(encoding="latin-1")
        for file, inside in re.findall(r"<image file='(.*?)'.*?>(.*?)</image>", text, re.DOTALL):
            pattern = r"top='(-?\d+)' left='(-?\d+)' width='(\d+)' height='(\d+)'"
            rows = [tuple(map(int, row)) for row in re.findall(pattern, inside)]
            boxes = [(left, top, left + wide, top + high) for top, left, wide, high in rows]
            yield cv2.imread(str(folder / file)), np.array(boxes, float)


def read_frames(path: Path, every_s: float) -> Iterator[np.ndarray]:
    """Frames of a film, `every_s` apart."""
    film = cv2.VideoCapture(str(path))
    step = max(1, round((film.get(cv2.CAP_PROP_FPS) or 24) * every_s))
    index = 0
    while film.grab():
        if index % step == 0:
            _, image = film.retrieve()
            yield image
        index += 1


def frames_as_peer(frames: list[np.ndarray]) -> list[tuple[np.ndarray, None]]:
    """Frames without boxes."""
    return [(frame, None) for frame in frames]


if __name__ == "__main__":
    main()
