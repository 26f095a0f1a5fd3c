"""How fast the board answers and scrolls: `python test/bench/bench_board.py [--shots 50000]`.

A made-up film of 50,000 shots in 300 clusters. Python: opening the library, first page, queries,
a correction with what it changes, its undo, look-up of a page of small pictures. With `--browser`
also Chromium on the same library, served by `bunny review`: it is scrolled by script, frame by
frame, at three speeds; "seen" is the share of cells on the screen that have their picture, over all
frames. Tasks over 50 ms are long (W3C Long Tasks). What the machine itself can do is measured
beside it: an empty page, and a bare page of plain `<img>`, the same pictures at the same size.
"""

import argparse
import base64
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "common"))
sys.path.insert(0, str(Path(__file__).parents[1] / "view" / "board"))
import made

from bunny.core import atomic
from bunny.core.config import ReviewConfig
from bunny.table import store
from bunny.view.board import items, thumbnail
from bunny.view.board import session as board_session

REPEATS = 7
BARE = 5000  # pictures of the bare page: a tenth of the film
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SCROLL = """async ([list, cell, pixels, seconds]) => {
  const grid = document.querySelector(list);
  const box = grid.getBoundingClientRect();
  const times = []; let long = 0; let most = 0; let there = 0; let all = 0;
  new PerformanceObserver(list => { long += list.getEntries().length; })
    .observe({entryTypes: ['longtask']});
  const look = () => {  // after the frame is drawn
    most = Math.max(most, document.querySelectorAll(cell).length);
    for (const share of [0.1, 0.5, 0.9]) {
      const under = document.elementsFromPoint(
        box.left + box.width * 0.45, box.top + share * box.height);
      const seen = under.find(one => one.matches(cell));
      all += 1; there += Boolean(seen?.querySelector('img')?.naturalWidth);
    }
  };
  let last = performance.now(); const begin = last;
  let y = grid.scrollTop = 0;
  while (performance.now() - begin < seconds * 1000) {
    await new Promise(requestAnimationFrame);
    const now = performance.now(); times.push(now - last);
    y += pixels * (now - last) / 1000; grid.scrollTop = y; last = now;
    if (cell && times.length % 8 === 0) setTimeout(look);
  }
  times.sort((a, b) => a - b);
  const at = share => times[Math.floor(share * (times.length - 1))];
  return {frames: times.length, median: at(0.5), p95: at(0.95), worst: at(1), long, cells: most,
    slow: times.filter(t => t > 50).length, seen: there / Math.max(1, all)};
}"""
IDLE = """async (seconds) => {
  const begin = performance.now(); let frames = 0;
  while (performance.now() - begin < seconds * 1000) {
    await new Promise(requestAnimationFrame); frames += 1;
  }
  return frames / seconds;
}"""


SHAPE = """() => {
  const grid = document.querySelector('.bb-grid');
  const cells = [...grid.querySelectorAll('.bb-cell:not([hidden])')];
  const picture = cells[0].querySelector('.bb-picture').getBoundingClientRect();
  return {all: grid.scrollHeight - grid.clientHeight, width: picture.width, height: picture.height,
    columns: cells.filter(cell => cell.offsetTop == cells[0].offsetTop).length};
}"""


def median_ms(call):
    """Median time of a call in milliseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


def make_film(root, shots):
    """A film's folder with `shots` rows and 64 pictures that they share."""
    asset = made.many(shots)
    (root / "frame").mkdir(parents=True)
    for i in range(64):
        path = root / "frame" / f"{i:08d}.jpg"
        made.cv2.imwrite(str(path), made.picture(i, i, 1280, 720))
    store.write(root / "table", "asset", asset)
    rows = asset.select("frame_id", "shot_index", "first_frame_index", "timestamp_s").to_dicts()
    frames = [
        made.frame_row(row, f"frame/{i % 64:08d}.jpg", 1280, 720) for i, row in enumerate(rows)
    ]
    store.write(root / "table", "frame", store.from_rows("frame", frames))
    known = {"film": "made.mp4", "content_hash": "0" * 64, "references": None}
    atomic.write_bytes(
        root / "source.json", str(known).replace("'", '"').replace("None", "null").encode()
    )


def bench_desk(root):
    """Times of the answers."""
    start = time.perf_counter()
    film = items.read_film(root.name, root)
    one = board_session.BoardSession(film, ReviewConfig(user="ann"))
    print(f"open the library            {time.perf_counter() - start:8.2f} s")

    number = itertools.count()

    def ask(kind, **values):
        given = {"view": "v", "id": next(number), "user": "ann", **values}
        answer, parts = one.handle({"kind": kind, **given})
        assert "error" not in answer, answer
        return answer, parts

    rows = np.random.default_rng(0).permutation(one.table.height)
    print(f"hello: folders, first order {median_ms(lambda: ask('hello', query={})):8.1f} ms")
    wanted = {"search": "anna", "status": "open", "sort": "film"}
    print(f"query with search, filter   {median_ms(lambda: ask('query', query=wanted)):8.1f} ms")
    ask("query", query={})
    print(f"page of 40, words           {median_ms(lambda: ask('page', rows=rows[:40])):8.1f} ms")
    start = time.perf_counter()
    ask("page", rows=[], pictures=rows[:40])  # of 64 pictures that all shots share
    print(f"40 pictures of 720p, first  {1000 * (time.perf_counter() - start):8.1f} ms")
    again = median_ms(lambda: ask("page", rows=[], pictures=rows[:40]))
    print(f"40 pictures, again          {again:8.1f} ms")
    each = iter(rows.tolist())

    def move():
        ask("act", action="assign", rows=[next(each)], cluster="scene-007", level="scene")

    print(f"move one, all told          {median_ms(move):8.1f} ms")
    print(f"undo, all told              {median_ms(lambda: ask('undo')):8.1f} ms")
    print(f"poll, nothing new           {median_ms(lambda: ask('poll')):8.2f} ms")


def spent(session):
    """Seconds that the page's main thread has worked so far, by what it did."""
    wanted = {"ScriptDuration": "script", "RecalcStyleDuration": "style"}
    wanted |= {"LayoutDuration": "layout", "TaskDuration": "all tasks"}
    found = session.send("Performance.getMetrics")["metrics"]
    return {wanted[m["name"]]: m["value"] for m in found if m["name"] in wanted}


def scroll(page, session, name, target, pixels, seconds):
    """Scroll at a speed in pixels a second and say how it went."""
    before = spent(session)
    found = page.evaluate(SCROLL, [*target, pixels, seconds])
    each = {k: (v - before[k]) * 1000 / found["frames"] for k, v in spent(session).items()}
    seen = f"seen {found['seen']:.0%}, at most {found['cells']} cells; " if target[1] else ""
    print(
        f"{name:<30}{found['frames'] / seconds:6.1f} frames a second, median {found['median']:.1f} "
        f"ms, p95 {found['p95']:.1f}, worst {found['worst']:.0f}; {found['slow']} over 50 ms, "
        f"{found['long']} long tasks; {seen}"
        + ", ".join(f"{name} {value:.1f} ms a frame" for name, value in each.items())
    )


def bare(root, shape):
    """A page of plain pictures of that width, height and number of columns."""
    files = [
        thumbnail.ThumbnailSource(file=p, width_px=1280, height_px=720)
        for p in root.glob("frame/*")
    ]
    urls = [f"data:image/jpeg;base64,{base64.b64encode(thumbnail.cut(f)).decode()}" for f in files]
    size = "width:{width}px;height:{height}px".format(**shape)
    return f"""<!doctype html><style>body {{ margin: 0; font-size: 0 }}
        img {{ {size}; margin: 6px }}
        #list {{ height: 100vh; overflow: auto; background: #fff; will-change: scroll-position }}
        </style><div id=list></div><script>const urls = {json.dumps(urls)};
        for (let i = 0; i < {BARE}; i += 1) {{
          const one = new Image(); one.decoding = 'async'; one.src = urls[i % urls.length];
          list.append(one); if (i % {shape["columns"]} == {shape["columns"]} - 1)
            list.append(document.createElement('br')); }}</script>"""


def bench_browser(root, seconds):
    """Rate of frames while scrolling from end to end."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "bunny", "review", root.name, "--port", "0", "--no-browser"]
    command += ["--data-dir", str(root.parents[1])]
    path = next(filter(None, map(shutil.which, CHROMIUM)))
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as driver,
    ):
        url = re.search(r"http://\S+", server.stdout.readline()).group(0)
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1360, "height": 860})
        page.set_default_timeout(300_000)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        print(f"empty page                    {page.evaluate(IDLE, 3):6.1f} frames a second")
        start = time.perf_counter()
        page.goto(url)
        page.wait_for_selector(".bb.is-ready")
        print(f"page with a kernel of its own {time.perf_counter() - start:6.1f} s")
        page.wait_for_timeout(2000)
        shape = page.evaluate(SHAPE)
        speeds = {
            "end to end": shape["all"] / seconds,
            "a tenth of that speed": shape["all"] / seconds / 10,
            "a hundredth": shape["all"] / seconds / 100,
        }
        for name, pixels in speeds.items():
            scroll(page, session, name, (".bb-grid", ".bb-cell"), pixels, seconds)
        page.set_content(bare(root, shape))
        page.wait_for_timeout(2000)
        for name, pixels in list(speeds.items())[1:]:
            scroll(page, session, f"bare page, {name}", ("#list", None), pixels, seconds)
        browser.close()
        server.terminate()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shots", type=int, default=50_000)
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--seconds", type=float, default=6.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "output" / "long-00000000"
        make_film(root, given.shots)
        bench_desk(root)
        (root / "feedback.jsonl").unlink()
        if given.browser:
            bench_browser(root, given.seconds)


if __name__ == "__main__":
    main()
