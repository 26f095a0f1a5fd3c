"""Fetch drawings by people: `python collect.py --out PICTURES --places PLACES --download FOLDER`.

Packages of Debian and npm are fetched by name, with `apt-get download`, `dpkg-deb` and `npm`, and
never installed on the system; SVG is rasterised by resvg (npm). Writes
`PICTURES/<source>/<identity>/<view>.png`, cut to what is not transparent, drawn backgrounds as
`PLACES/<source>/<number>.jpg`, and `SOURCES.md` beside this script: licences and numbers. Pictures
stay outside the repository.
"""

import argparse
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
LONG_PX = 512  # longer sides are scaled down to this
MIN_PX = 24  # shorter side of a cut-out, at least
MIN_SHARE = 0.12  # opaque share of a cut-out, at least
MAX_VIEWS = 8
NUM_SEEDS, NUM_VIEWS = 60, 4  # identities of each avatar style, and their views
NPM = (
    "@resvg/resvg-js",
    "@dicebear/core@9",
    "@dicebear/collection@9",
    "facesjs",
    "openmoji",
    "@twemoji/svg",
    "fluentui-emoji",
)

# Each style's figures, not its neutral faces, initials or patterns. By the licence files of the
# packages `@dicebear/<style>`.
FREE = "free for personal and commercial use"
AVATARS = {
    "adventurer": ("Lisa Wischofsky", "CC BY 4.0", "anime-like heads"),
    "avataaars": ("Pablo Stanley", FREE, "flat busts"),
    "bigEars": ("The Visual Team", "CC BY 4.0", "comic heads"),
    "bigSmile": ("Ashley Seo", "CC BY 4.0", "flat heads"),
    "bottts": ("Pablo Stanley", FREE, "robots' heads"),
    "croodles": ("vijay verma", "CC BY 4.0", "doodled heads"),
    "dylan": ("Natalia Spivak", "CC BY 4.0", "flat heads"),
    "funEmoji": ("Davis Uche", "CC BY 4.0", "faces"),
    "lorelei": ("Lisa Wischofsky", "CC0 1.0", "anime-like heads, ink"),
    "micah": ("Micah Lanier", "CC BY 4.0", "comic busts"),
    "miniavs": ("Webpixels", "CC BY 4.0", "flat busts"),
    "notionists": ("Zoish", "CC0 1.0", "busts, ink"),
    "openPeeps": ("Pablo Stanley", "CC0 1.0", "busts, ink"),
    "personas": ("Draftbit", "CC BY 4.0", "flat busts"),
    "pixelArt": ("DiceBear", "CC0 1.0", "pixel busts"),
    "toonHead": ("Johan Melin", "CC BY 4.0", "comic busts"),
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Drawings of one hand or team."""

    name: str
    package: str
    licence: str  # taken from the package's own copyright file
    style: str
    pattern: tuple[str, ...] = ()  # matches files in a Debian package
    identity: str = ""  # pattern with one group, found in a file's path; empty: each file its own
    left_out: str = r"^$"  # files with this in their path


DEBIAN = (
    Source(
        name="wesnoth-portrait",
        package="wesnoth-1.16-data",
        licence="GPL-2+",
        style="painted comic figures, busts and full",
        pattern=("**/portraits/**/*.png",),
        identity=r"portraits/(.+?)(?:-(?:happy|angry|sad|closed|grin|2))*\.png$",
        left_out=r"icon|ruler",
    ),
    Source(
        name="wesnoth-unit",
        package="wesnoth-1.16-data",
        licence="GPL-2+",
        style="pixel figures, full, in dozens of poses",
        pattern=("**/images/units/**/*.png",),
        identity="unit",
        left_out=r"projectile|halo|missile|blood|/die|-die|death|teleport|base|ring|flag|icon",
    ),
    Source(
        name="ardentryst",
        package="ardentryst",
        licence="CC BY-SA 3.0",
        style="anime heads",
        pattern=("**/Data/NPCs/Faces/*.png",),
        identity=r"Faces/([A-Za-z]+?)(?:_|\d|[A-Z][a-z]+\.|\.)",
        left_out=r"Blank|Narrator",
    ),
    Source(
        name="ardentryst-monster",
        package="ardentryst",
        licence="CC BY-SA 3.0",
        style="cartoon animals and monsters",
        pattern=("**/MonsterFrames/*/*.png",),
        identity=r"MonsterFrames/(\w+)/",
        left_out=r"[Dd]eath|[Pp]ortrait|bolt|proj",
    ),
    Source(
        name="renpy",
        package="renpy-demo renpy-thequestion",
        licence="MIT",
        style="anime figures, full",
        pattern=("**/images/eileen*.png", "**/images/lucy*.png", "**/images/sylvie*.png"),
        identity=r"images/(eileen|lucy|sylvie blue|sylvie green)",
    ),
    Source(
        name="naev",
        package="naev-data",
        licence="GPL-3+",
        style="comic busts, painted",
        pattern=("**/portraits/**/*.png",),
        left_out=r"news|none|unknown",
    ),
    Source(
        name="supertux",
        package="supertux-data",
        licence="GPL-3+",
        style="cartoon animals and things with faces",
        pattern=("**/images/creatures/**/*.png",),
        identity=r"creatures/((?:tux/)?\w+)/",
        left_out=r"explo|shard|flame|particle|glow|light|dead|melt|squish|flat|burn|spark|smoke",
    ),
    Source(
        name="openclipart",
        package="openclipart-svg",
        licence="public domain",
        style="clip art of many hands",
        pattern=(
            "**/svg/people/*.svg",
            "**/svg/animals/**/*.svg",
            "**/svg/recreation/sports/*.svg",
            "**/svg/recreation/toys/*.svg",
            "**/svg/recreation/religion/*.svg",
            "**/svg/recreation/holiday/**/*.svg",
        ),
        left_out=r"bugs|tree|wreath|egg|cross|ball|heart|ski_|bell|gift|candle|clothing",
    ),
)
EMOJI = (
    Source(name="openmoji", package="openmoji", licence="CC BY-SA 4.0", style="emoji, and in ink"),
    Source(
        name="twemoji",
        package="@twemoji/svg",
        licence="MIT by its package; by others CC BY 4.0",
        style="flat emoji",
    ),
    Source(
        name="fluent",
        package="fluentui-emoji",
        licence="MIT by its package",
        style="flat emoji, and in two tones",
    ),
)
# Backgrounds by package: source whose hand they are of (left out with its figures), files, licence.
PLACES = {
    "supertux-data": ("supertux", r"images/background/.+\.(png|jpg)$", "GPL-3+"),
    "wesnoth-1.16-data": ("wesnoth-portrait", r"/story/landscape.+\.jpg$", "GPL-2+"),
    "warmux-data": ("warmux", r"/map/[^/]+/(?!preview|mini)[^/]+\.jpg$", "GPL-2+"),
    "ardentryst": ("ardentryst", r"Background_\w+_Backing\.png$", "CC BY-SA 3.0"),
    "renpy-thequestion": ("renpy", r"images/bg [^/]+\.jpg$", "MIT"),
}
PLACE_PX = 480  # longest height of a background
MIN_DEVIATION = 4.0  # deviation of grey values; emptier backgrounds are one colour
NOT_TAKEN = (
    ("@multiavatar/multiavatar", "its licence binds what is made with the pictures"),
    ("live2d-widget-model-*", "the models' licence forbids giving on and training"),
    ("@pkmn/img", "pictures belong to a maker of games"),
    ("pokerth-data", "photographs, some of unknown origin"),
    ("flare-game", "some of its portraits are photographs"),
    ("tuxpaint-stamps-default", "mostly photographs"),
    ("frozen-bubble-data, pingus-data", "one figure, or sheets of sprites"),
    ("hedgewars-data, warmux-data, teeworlds-data", "as figures: only parts of them"),
    ("gcompris-qt-data", "packed resources, mostly photographs"),
    ("unknown-horizons, holotz-castle-data", "no figures large enough as files"),
)


def main() -> None:
    """Fetch, cut out, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="pictures, outside the repository")
    parser.add_argument("--places", type=Path, required=True, help="backgrounds, likewise outside")
    parser.add_argument("--download", type=Path, required=True, help="packages, kept for later")
    wanted = parser.parse_args()
    npm, raw = (wanted.download.resolve() / name for name in ("npm", "raster"))
    fetch_npm(npm)
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for source in DEBIAN:
        root = [fetch_debian(name, wanted.download) for name in source.package.split()]
        for identity, path in list_files(source, root):
            found[source.name][identity].append(path)
    for source in EMOJI:
        for identity, path in list_emoji(source.name, npm / "node_modules"):
            found[source.name][identity].append(path)
    rasterise(found, npm, raw)
    written = [*cut_out(found, wanted.out)]
    places = [copy_places(name, wanted.download, wanted.places) for name in PLACES]
    text = describe(written, places)
    (HERE / "SOURCES.md").write_text(text, encoding="utf-8", newline="\n")
    print(text)


def fetch_debian(package: str, folder: Path) -> Path:
    """Unpack a Debian package into a folder of its own and return that."""
    target = folder.resolve() / "x" / package
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if not list(folder.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
        (archive,) = folder.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
    return target


def fetch_npm(folder: Path) -> None:
    """Install the npm packages into a folder, without running their scripts."""
    if not (folder / "node_modules" / "fluentui-emoji").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "init", "-y"], cwd=folder, check=True, capture_output=True)
        subprocess.run(
            ["npm", "install", "--ignore-scripts", "--no-audit", "--legacy-peer-deps", *NPM],
            cwd=folder,
            check=True,
        )


def list_files(source: Source, roots: list[Path]) -> Iterator[tuple[str, Path]]:
    """Identity and path of each picture of a Debian package."""
    files = {
        str(path.relative_to(root)): path
        for root in roots
        for pattern in source.pattern
        for path in sorted(root.glob(pattern))
        if not re.search(source.left_out, str(path.relative_to(root)))
    }
    bases = {name.removesuffix(".png") for name in files}
    for name, path in files.items():
        if source.identity == "unit":
            identity = base_of(name.removesuffix(".png"), bases)
        elif source.identity:
            match = re.search(source.identity, name)
            identity = match[1] if match else ""
        else:
            identity = "-".join(Path(name).with_suffix("").parts[-2:])
        if identity:
            yield re.sub(r"\W+", "-", identity).strip("-").lower(), path


def base_of(stem: str, bases: set[str]) -> str:
    """The shortest stem that this one goes on from with a hyphen: `elf/archer-bow-1`, `elf/archer`.

    Empty for a picture that is of a pose whose figure has no picture without one.
    """
    folder, _, name = stem.rpartition("/")
    part = name.split("-")
    for end in range(1, len(part) + 1):
        start = f"{folder}/{'-'.join(part[:end])}"
        if start in bases:
            is_pose = re.search(r"attack|defend|idle|melee|ranged|magic|\d$", "-".join(part[:end]))
            return "" if is_pose else "/".join(start.split("/")[-2:])
    return ""


def list_emoji(name: str, modules: Path) -> Iterator[tuple[str, Path]]:
    """Identity and SVG of people, faces and animals; skin tones are left out."""
    said = json.loads((modules / "openmoji" / "data" / "openmoji.json").read_text(encoding="utf-8"))
    for one in said:
        is_figure = re.match(
            r"person|animal-(?!bug)|cat-face|monkey|face-costume", one["subgroups"]
        )
        if not is_figure or one["skintone"] or re.search("hand|foot|paw", one["annotation"]):
            continue
        code = one["hexcode"]
        files = {
            "openmoji": [f"openmoji/{kind}/svg/{code}.svg" for kind in ("color", "black")],
            "twemoji": [f"@twemoji/svg/{code.lower()}.svg"],
            "fluent": [
                f"fluentui-emoji/icons/{kind}/{re.sub(r'[^a-z0-9]+', '-', one['annotation'])}.svg"
                for kind in ("flat", "high-contrast")
            ],
        }[name]
        for file in files:
            if (modules / file).exists():
                yield code.lower(), modules / file


def rasterise(found: dict[str, dict[str, list[Path]]], npm: Path, raw: Path) -> None:
    """Draw avatars and SVG files as PNG files and put those in the place of the latter."""
    styles = {f"dicebear-{style}": f"dicebear:{style}" for style in AVATARS}
    styles["facesjs"] = "facesjs:"
    job: dict[str, list] = {"svg": [], "avatar": []}
    for name, style in styles.items():
        if not (raw / name).exists():
            size = {"count": NUM_SEEDS, "views": NUM_VIEWS}
            job["avatar"].append({"style": style, "folder": str(raw / name), **size})
    for name, identities in found.items():
        for identity, paths in identities.items():
            for k, path in enumerate(paths):
                if path.suffix == ".svg":
                    paths[k] = raw / name / identity / f"{k}.png"
                    if not paths[k].exists():
                        job["svg"].append([str(path), str(paths[k])])
    raw.mkdir(parents=True, exist_ok=True)
    (raw / "job.json").write_text(json.dumps(job), encoding="utf-8", newline="\n")
    subprocess.run(["node", HERE / "draw_avatar.mjs", npm, raw / "job.json"], check=True)
    for name in styles:
        for path in sorted((raw / name).glob("*/*.png")):
            found[name][path.parent.name].append(path)


def cut_out(found: dict[str, dict[str, list[Path]]], out: Path) -> Iterator[tuple[str, list[int]]]:
    """Write the views of each identity; yield by source how many views its identities have."""
    for name, identities in found.items():
        numbers = []
        for identity, paths in identities.items():
            step = max(1, len(paths) // MAX_VIEWS)
            views = []
            for path in paths[::step][:MAX_VIEWS]:
                figure = cut_figure(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
                if figure is not None and not any(np.array_equal(figure, view) for view in views):
                    views.append(figure)
            if views:
                folder = out / name / identity
                folder.mkdir(parents=True, exist_ok=True)
                for k, view in enumerate(views):
                    cv2.imwrite(str(folder / f"{k}.png"), view)
                numbers.append(len(views))
        yield name, numbers


def copy_places(package: str, download: Path, out: Path) -> int:
    """Write the drawn backgrounds of a package; return how many there are."""
    source, pattern, _ = PLACES[package]
    root = fetch_debian(package, download)
    number = 0
    for path in sorted(root.rglob("*")):
        if not re.search(pattern, str(path.relative_to(root))):
            continue
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None or min(image.shape[:2]) < MIN_PX or image.std() < MIN_DEVIATION:
            continue
        factor = min(1.0, PLACE_PX / image.shape[0])
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        (out / source).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(out / source / f"{number}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 92])
        number += 1
    return number


def cut_figure(image: np.ndarray | None) -> np.ndarray | None:
    """Cut a picture to what is not transparent.

    Parameters
    ----------
    image : np.ndarray, shape (height, width[, channels]), uint8 or uint16
        As OpenCV reads it; with or without alpha.

    Returns
    -------
    np.ndarray, shape (height, width, 3 or 4), uint8
        None where there is too little of a figure.
    """
    if image is None:
        return None
    if image.dtype == np.uint16:
        image = (image // 257).astype(np.uint8)
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    if image.shape[2] == 4:
        solid = image[..., 3] > 127
        if not solid.any():
            return None
        rows, columns = (np.flatnonzero(solid.any(axis=axis)) for axis in (1, 0))
        image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        if (image[..., 3] > 127).mean() < MIN_SHARE:
            return None
    if min(image.shape[:2]) < MIN_PX:
        return None
    factor = LONG_PX / max(image.shape[:2])
    if factor < 1:
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image)


def describe(written: list[tuple[str, list[int]]], places: list[int]) -> str:
    """The list of sources as Markdown."""
    known = {source.name: source for source in (*DEBIAN, *EMOJI)}
    rows = []
    for name, numbers in written:
        if name in known:
            one = known[name]
            said = one.package, one.licence, one.style
        elif name == "facesjs":
            said = "facesjs", "Apache-2.0", "comic busts"
        else:
            author, licence, style = AVATARS[name.removeprefix("dicebear-")]
            said = "@dicebear/collection", f"{licence}, {author}", style
        several = sum(number > 1 for number in numbers)
        rows.append((name, *said, len(numbers), several, sum(numbers)))
    total = [sum(row[k] for row in rows) for k in (4, 5, 6)]
    head = "source | package | licence | style | identities | with two or more views | views"
    lines = [
        "# Drawings by people",
        "",
        "Written by `collect.py`. No picture is in the repository; what is trained or computed",
        "from them names this list.",
        "",
        f"| {head} |",
        "|" + "---|" * 7,
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
        f"| all | | | | {total[0]} | {total[1]} | {total[2]} |",
        "",
        "Backgrounds, of which `train_network.py` takes crops:",
        "",
        "| source | package | licence | pictures |",
        "|---|---|---|---|",
        *(
            f"| {source} | {package} | {licence} | {number} |"
            for (package, (source, _, licence)), number in zip(PLACES.items(), places, strict=True)
        ),
        "",
        "Not taken:",
        "",
        *(f"- `{package}`: {why}." for package, why in NOT_TAKEN),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
