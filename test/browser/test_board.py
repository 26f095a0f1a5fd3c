"""`bunny review` in a real browser: what people do on the board is in the film's record."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import look as kept_look
import pytest
from set_on_disk import make_set

from bunny.core import reference_folder
from bunny.core.config import RightsConfig
from bunny.dataset import approval, rights
from bunny.review import event_log
from bunny.table import store

sys.path.insert(0, str(Path(__file__).parents[1] / "view" / "board"))
import made

sys.path.pop(0)

pytestmark = pytest.mark.slow

START_MS = 120_000  # a kernel on a busy machine
ANSWER_MS = 120_000  # an answer on a busy machine; waits end as soon as it is there
IDLE_S = 20  # after which the kernel of a page that died is ended
KERNEL = "JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId"


@pytest.fixture(scope="module")
def film_dir(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    return made.write_film(data / "output" / "made-00000000", made.small_rows())


@pytest.fixture(scope="module")
def url(film_dir):
    """Address with the token, as `bunny review` prints it."""
    start = [sys.executable, "-m", "bunny", "review", "made", "--port", "0", "--no-browser"]
    where = ["--data-dir", str(film_dir.parents[1]), "--set", f"review.idle_seconds={IDLE_S}"]
    with subprocess.Popen(
        [*start, *where], stdout=subprocess.PIPE, text=True, cwd=film_dir
    ) as server:
        try:
            found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", server.stdout.readline())
            assert found, "no address was printed"
            yield found.group(0)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


@pytest.fixture(scope="module")
def orphan(chromium, url):
    """Kernel of a page that died without a word, when the first test began."""
    page = chromium.new_page()
    load(page, url)
    kernel = page.evaluate(KERNEL)
    assert has_kernel(url, kernel)
    page.close(run_before_unload=False)
    return kernel


@contextlib.contextmanager
def open_board(chromium, url, user, *, lost=(), **options):
    """A page of somebody, with what its console and network had to complain about.

    The first answer in which one of the words `lost` stands never arrives.
    """
    context = chromium.new_context(viewport={"width": 1360, "height": 860}, **options)
    page = context.new_page()
    page.lost = list(lost)
    page.route_web_socket(re.compile("/channels"), lambda socket: carry(socket, page.lost))
    page.set_default_timeout(ANSWER_MS)
    page.complaints = []
    page.on("console", lambda m: m.type == "error" and page.complaints.append(m.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on(
        "request",
        lambda r: (
            "127.0.0.1" in r.url
            or r.url.startswith(("data", "blob"))
            or page.complaints.append(f"asked for {r.url}")
        ),
    )
    try:
        load(page, url)
        page.locator(".bb-user").click()
        page.get_by_role("textbox", name="Your name").fill(user)
        page.keyboard.press("Enter")
        page.wait_for_function("n => document.querySelector('.bb-user').innerText == n", arg=user)
        yield page
        assert not page.complaints
    finally:
        context.close()


def carry(socket, lost):
    """Hand on what kernel and page say to one another, but for what shall be lost."""

    def answer(message):
        data = message if isinstance(message, bytes) else message.encode()
        found = next((word for word in lost if word.encode() in data), None)
        socket.send(message) if found is None else lost.remove(found)

    server = socket.connect_to_server()
    server.on_message(answer)
    socket.on_message(server.send)


def load(page, url):
    page.goto(url, timeout=START_MS)
    page.wait_for_selector(".bb.is-ready", timeout=START_MS)


def folder(page, cluster):
    return page.locator(f'[data-cluster="{cluster}"]')


def wait_count(page, cluster, number):
    page.wait_for_function(
        """([id, n]) => document.querySelector(`[data-cluster="${id}"] .bb-number`)
        ?.innerText == n""",
        arg=[cluster, str(number)],
    )


def has_kernel(url, kernel):
    """Whether the server still runs that kernel."""
    try:
        with urllib.request.urlopen(url.replace("/?", f"/api/kernels/{kernel}?")) as answer:
            return json.load(answer)["id"] == kernel
    except urllib.error.HTTPError as refused:
        assert refused.code == 404
        return False


def wait_end(url, kernel, seconds):
    """Seconds until the kernel is gone."""
    begin = time.monotonic()
    while has_kernel(url, kernel):
        assert time.monotonic() - begin < seconds, f"the kernel still runs after {seconds} s"
        time.sleep(0.2)
    return time.monotonic() - begin


def drop_files(page, place, *paths):
    """Drag files from outside the browser over a place and let them go."""
    place.hover()  # waits until it lies still
    box = place.bounding_box()
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def kinds(film_dir):
    return [(event.user, event.kind) for event in event_log.read(film_dir)]


@pytest.mark.parametrize("place", ["", "api/kernels/a", "voila/files/board.ipynb"])
def test_without_the_token_nothing_is_shown(url, place):
    base = url.split("?")[0]
    try:
        with urllib.request.urlopen(base + place) as answer:
            assert answer.url.startswith(f"{base}login") and b"film_id" not in answer.read()
    except urllib.error.HTTPError as refused:
        assert refused.code == 403


def test_the_board_looks_as_kept(chromium, url, look):
    """Before anybody has corrected anything: this stands before the tests that do."""
    with open_board(chromium, url, "ann", color_scheme="light") as page:
        page.add_style_tag(content=kept_look.page_style())
        folder(page, "scene-002").click()
        page.locator(".bb-title", has_text="scene-002").wait_for()
        page.wait_for_function("document.querySelectorAll('.bb-cell:not([hidden])').length == 6")
        page.wait_for_function(
            "[...document.querySelectorAll('.bb-cell:not([hidden]) img')]"
            ".every(image => image.naturalWidth)"
        )
        page.evaluate("document.fonts.ready.then(() => true)")
        look("board-light", page.screenshot(), shrink=4)
        page.emulate_media(color_scheme="dark")
        look("board-dark", page.screenshot(), shrink=4)


def test_one_person_and_then_two(chromium, url, film_dir, orphan):
    """Drag from noise to a cluster, rename, undo, reload; a second browser sees and is seen."""
    with open_board(chromium, url, "ann") as ann:
        folder(ann, "").click()
        ann.wait_for_function("document.querySelectorAll('.bb-cell:not([hidden])').length == 5")
        ann.wait_for_function(
            "[...document.querySelectorAll('.bb-cell:not([hidden]) img')]"
            ".every(image => image.naturalWidth)"
        )
        shot = ann.locator('[data-asset="made-s00025"]')
        shot.drag_to(folder(ann, "scene-002"))
        wait_count(ann, "scene-002", 7)
        assert kinds(film_dir) == [("ann", "assign")]
        assert event_log.read(film_dir)[0].items[0].asset_id == "made-s00025"

        folder(ann, "scene-002").click()
        ann.locator(".bb-tree").focus()
        ann.keyboard.press("F2")
        ann.keyboard.type("garden")
        ann.keyboard.press("Enter")
        ann.locator(".bb-title", has_text="garden").wait_for()
        ann.keyboard.press("Control+z")
        ann.locator(".bb-title", has_text="scene-002").wait_for()
        assert [kind for _, kind in kinds(film_dir)] == ["assign", "rename", "undo"]

        load(ann, url)  # the name is remembered, the correction too
        assert ann.locator(".bb-user").inner_text() == "ann"
        wait_count(ann, "scene-002", 7)

        with open_board(chromium, url, "bob", color_scheme="dark") as bob:
            wait_count(bob, "scene-002", 7)
            bob.locator(".bb-user").click()  # its answer is overtaken by the next click
            bob.keyboard.press("Enter")
            folder(bob, "scene-001").click()
            bob.locator(".bb-title", has_text="scene-001").wait_for()
            bob.locator(".bb-grid").focus()
            bob.keyboard.press("Control+a")
            bob.keyboard.press("a")
            told = ann.locator(".bb-toast", has_text="bob approved 6 shots")
            told.first.wait_for()
            assert kinds(film_dir)[3:] == [("bob", "approve")] and told.count() == 1
            folder(ann, "scene-001").locator(".bb-small", has_text="100 %").wait_for()
            ann.locator('[data-cluster="scene-003"]').drag_to(folder(ann, "scene-004"))
            pictures = ann.locator("dialog[open] .bb-merge img")
            pictures.nth(1).wait_for()
            assert pictures.nth(0).get_attribute("src") != pictures.nth(1).get_attribute("src")
            assert kinds(film_dir)[3:] == [("bob", "approve")]  # nothing is merged yet
            ann.get_by_role("button", name="Merge", exact=True).click()
            wait_count(bob, "scene-004", 12)
            bob.locator(".bb-toast", has_text="ann merged scene-003 into scene-004").wait_for()
        assert kinds(film_dir)[3:] == [("bob", "approve"), ("ann", "merge")]
    lines = (film_dir / event_log.FILE).read_text().splitlines()
    assert [json.loads(line)["seen"] for line in lines] == [0, 1, 2, 3, 4]


def test_a_double_click_renames(chromium, url, film_dir):
    with open_board(chromium, url, "ann") as ann:
        for place, name in (("scene-001", "beach"), ("scene-002", "wood")):
            folder(ann, place).locator(".bb-name").dblclick()
            ann.get_by_role("textbox", name="New name").wait_for()
            ann.keyboard.type(name)
            ann.keyboard.press("Enter")
            folder(ann, place).locator(".bb-name", has_text=name).wait_for()
        assert kinds(film_dir)[-2:] == [("ann", "rename"), ("ann", "rename")]
        folder(ann, "scene-004").locator(".bb-name").dblclick()  # whose name there is already
        ann.keyboard.type("beach")
        ann.keyboard.press("Enter")
        ann.locator("dialog[open] .bb-merge img").nth(1).wait_for()
        ann.get_by_role("button", name="Cancel").click()
        assert kinds(film_dir)[-1] == ("ann", "rename")
        for _ in range(2):
            ann.get_by_role("button", name=re.compile("^Undo")).click()
        folder(ann, "scene-001").locator(".bb-name", has_text="scene-001").wait_for()


CLICKS = (
    None,  # the page as it was loaded
    ".bb-head .bb-small",
    ".bb-side .bb-new",
    "[role=radio] >> text=Characters",
    "[role=radio] >> text=Scenes",
    "[data-cluster=scene-004] .bb-name",
)


def test_keys_work_on_load_and_after_every_click(chromium, url):
    with open_board(chromium, url, "ann") as ann:
        load(ann, url)
        for place in CLICKS:
            if place is not None:
                ann.locator(place).click(force=True)
                ann.wait_for_function("document.activeElement != document.body")
            ann.keyboard.press("?")
            ann.locator("dialog[open] h2", has_text="Keyboard shortcuts").wait_for()
            ann.keyboard.press("Escape")
            ann.locator("dialog[open]").wait_for(state="detached")
        ann.locator(".bb-title", has_text="scene-004").wait_for()
        ann.keyboard.press("Control+a")  # the folder that was clicked has the focus
        ann.locator(".bb-count", has_text="selected").wait_for()
        ann.get_by_role("combobox", name="Order").select_option("film")
        ann.keyboard.press("ArrowRight")
        ann.locator(".bb-count", has_text="1 selected").wait_for()


def test_nothing_in_the_sidebar_is_clipped(chromium, url):
    with open_board(chromium, url, "ann") as ann:
        for width, height in ((1280, 720), (1440, 900), (1920, 1080)):
            ann.set_viewport_size({"width": width, "height": height})
            for part in (".bb-name", ".bb-numbers", ".bb-numbers > span", ".bb-button"):
                assert (
                    ann.locator(part).evaluate_all(
                        "all => all.filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth)"
                        ".map(e => e.textContent)"
                    )
                    == []
                ), (width, part)
            under = "e => e.getBoundingClientRect()"
            name = folder(ann, "scene-002").locator(".bb-name").evaluate(under)
            numbers = folder(ann, "scene-002").locator(".bb-numbers").evaluate(under)
            assert numbers["top"] >= name["bottom"] and numbers["left"] == name["left"]


def test_an_unknown_film_is_a_sentence_with_the_films_that_there_are(chromium, url):
    page = chromium.new_page()
    page.goto(f"{url}&film=nobody", timeout=START_MS)
    said = page.get_by_role("alert").get_by_text("nobody: expected a film of this server")
    said.wait_for(timeout=START_MS)
    page.get_by_role("link", name="made-00000000").click()
    page.wait_for_selector(".bb.is-ready", timeout=START_MS)
    page.close()


def test_a_band_files_from_disk_and_the_end_of_a_page(chromium, url, film_dir, tmp_path):
    picture, words = tmp_path / "anna at sea.jpg", tmp_path / "anna.txt"
    made.cv2.imwrite(str(picture), made.picture(1, 1))
    words.write_text("no picture")
    kept = film_dir / reference_folder.NAMED
    with open_board(chromium, url, "ann", lost=["of anna added"]) as ann:
        box = ann.locator(".bb-grid").bounding_box()
        ann.mouse.move(box["x"] + box["width"] - 24, box["y"] + 2)  # beside the last of six columns
        ann.mouse.down()
        ann.mouse.move(box["x"] + 300, box["y"] + 200)  # into the second column of the second line
        ann.mouse.up()
        ann.locator(".bb-count", has_text="10 selected").wait_for()
        ann.keyboard.press("Escape")
        drop_files(ann, folder(ann, "scene-001"), picture)
        ann.locator(".bb-toast", has_text="drop them on a character").wait_for()
        ann.get_by_role("radio", name="Characters").click()
        anna = folder(ann, "anna")
        anna.wait_for()
        drop_files(ann, anna, words, picture)
        ann.locator(".bb-toast.is-bad", has_text="anna.txt: expected a picture").wait_for()
        assert not kept.exists()
        drop_files(ann, anna, picture)
        ann.locator(".bb-toast", has_text="1 reference picture of anna added").wait_for()
        (found,) = (kept / "anna").iterdir()
        assert found.name.startswith("anna-at-sea-")
        assert found.read_bytes() == picture.read_bytes()
        assert "is-target" not in anna.get_attribute("class")
        assert not ann.lost
        kernel = ann.evaluate(KERNEL)
        assert has_kernel(url, kernel)
        ann.goto("about:blank")
        wait_end(url, kernel, IDLE_S / 2)


def inside(page, selector, edge_px=16):
    """A picture of an element without its edge, beside which other tests' work shows."""
    box = page.locator(selector).bounding_box()
    place = {"x": box["x"] + edge_px, "y": box["y"] + edge_px}
    size = {"width": box["width"] - 2 * edge_px, "height": box["height"] - 2 * edge_px}
    return page.screenshot(clip=place | size)


def loaded(page, number):
    """Wait until so many pictures of a set are seen."""
    page.wait_for_function(
        "n => [...document.querySelectorAll('figure.bb-tile img')]"
        ".filter(image => image.naturalWidth).length == n",
        arg=number,
    )
    page.evaluate(
        "() => Promise.all([...document.querySelectorAll('figure.bb-tile img')]"
        ".map(image => image.decode()))"
    )


def test_a_training_set_is_approved_once_it_was_shown(chromium, url, film_dir, look):
    """Mia approves and withdraws; a page that shows what is no longer there approves nothing."""
    rows = make_set(SimpleNamespace(root=film_dir), "anna", 8, 0)
    rows += make_set(SimpleNamespace(root=film_dir), "bo", 3, 50)
    for number, row in enumerate(rows):
        made.cv2.imwrite(str(film_dir / row["file"]), made.picture(number, number // 3))
    store.write(film_dir / "table", "dataset", store.from_rows("dataset", rows))
    known = rights.make_record("made.mp4", "00", RightsConfig(film_licence="CC0-1.0"))
    (film_dir / "dataset" / "rights.json").write_text(json.dumps(known))
    record = film_dir / approval.FILE
    with open_board(chromium, url, "mia", color_scheme="light") as mia:
        mia.add_style_tag(content=kept_look.page_style())
        mia.get_by_role("button", name="Training sets").click()
        approve = mia.get_by_role("button", name=re.compile("^Approve"))
        loaded(mia, 8)
        assert approve.inner_text() == "Approve 8 pictures of anna"
        assert mia.locator(".bb-rights").inner_text().splitlines()[0] == "Film: made.mp4, CC0-1.0"
        mia.evaluate("document.activeElement.blur()")
        look("board-set-light", inside(mia, "dialog[open]"), shrink=4)
        mia.emulate_media(color_scheme="dark")
        look("board-set-dark", inside(mia, "dialog[open]"), shrink=4)
        approve.click()
        mia.locator(".bb-state.is-approved", has_text="Approved by mia on").wait_for()
        assert approve.is_disabled() and [one.by for one in approval.read(film_dir)] == ["mia"]
        mia.get_by_role("button", name="Withdraw approval").click()
        mia.locator(".bb-state.is-withdrawn").wait_for()
        mia.get_by_role("radio", name="bo: not approved").click()
        loaded(mia, 3)
        before = record.read_text()
        made.cv2.imwrite(str(film_dir / rows[8]["file"]), made.picture(9, 9))
        shown = mia.locator("dialog[open] .bb-sheet").element_handle()
        approve.click()
        mia.locator(".bb-toast.is-bad", has_text="has changed since").wait_for()
        assert record.read_text() == before
        mia.wait_for_function("sheet => !sheet.isConnected", arg=shown)
        loaded(mia, 3)
        approve.click()
        mia.locator(".bb-state.is-approved").wait_for()
    found = [(one.character, one.is_withdrawn) for one in approval.read(film_dir)]
    assert found == [("anna", False), ("anna", True), ("bo", False)]


def test_what_a_dead_page_left_is_ended(url, orphan):
    wait_end(url, orphan, 3 * IDLE_S)
