"""`bunny review` in a real browser: what people do on the board is in the film's record."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from bunny.review import log

sys.path.insert(0, str(Path(__file__).parents[1] / "view" / "board"))
import made

sys.path.pop(0)

pytestmark = pytest.mark.browser

START_MS = 120_000  # a kernel on a busy machine
ANSWER_MS = 20_000


@pytest.fixture(scope="module")
def film_dir(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    return made.write_film(data / "output" / "made-00000000", made.small_rows())


@pytest.fixture(scope="module")
def url(film_dir):
    """Address with the token, as `bunny review` prints it."""
    start = [sys.executable, "-m", "bunny", "review", "made", "--port", "0", "--no-browser"]
    where = ["--data-dir", str(film_dir.parents[1])]
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


@contextlib.contextmanager
def open_board(chromium, url, user, **options):
    """A page of somebody, with what its console and network had to complain about."""
    context = chromium.new_context(viewport={"width": 1360, "height": 860}, **options)
    page = context.new_page()
    page.set_default_timeout(ANSWER_MS)
    page.complaints = []
    page.on("console", lambda m: is_error(m) and page.complaints.append(m.text))
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


def is_error(message):
    """Voilà may not end a page's kernel when it goes; that is said and of no consequence."""
    return message.type == "error" and "api/shutdown" not in message.location.get("url", "")


def load(page, url):
    page.goto(url, timeout=START_MS)
    page.wait_for_selector(".bb.is-ready", timeout=START_MS)


def folder(page, cluster):
    return page.locator(f'[data-cluster="{cluster}"]')


def wait_count(page, cluster, number):
    page.wait_for_function(
        """([id, n]) => document.querySelector(`[data-cluster="${id}"] > .bb-number`)
        ?.innerText == n""",
        arg=[cluster, str(number)],
    )


def kinds(film_dir):
    return [(event.user, event.kind) for event in log.read(film_dir)]


@pytest.mark.parametrize("place", ["", "api/kernels/a", "voila/files/board.ipynb"])
def test_without_the_token_nothing_is_shown(url, place):
    base = url.split("?")[0]
    try:
        with urllib.request.urlopen(base + place) as answer:
            assert answer.url.startswith(f"{base}login") and b"film_id" not in answer.read()
    except urllib.error.HTTPError as refused:
        assert refused.code == 403


def test_one_person_and_then_two(chromium, url, film_dir):
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
        assert log.read(film_dir)[0].items[0].asset_id == "made-s00025"

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
            wait_count(bob, "scene-004", 12)
            bob.locator(".bb-toast", has_text="ann merged scene-003 into scene-004").wait_for()
        assert kinds(film_dir)[3:] == [("bob", "approve"), ("ann", "merge")]
    lines = (film_dir / log.FILE).read_text().splitlines()
    assert [json.loads(line)["seen"] for line in lines] == [0, 1, 2, 3, 4]
