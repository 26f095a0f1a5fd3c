"""The page "Films" in a real browser: films of seconds, an upload that is cut off, two people."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from noise_film import encode

pytestmark = pytest.mark.slow

RUN_MS = 180_000  # a film of seconds on a busy machine
ANSWER_MS = 30_000
PART = 4 << 20  # bytes of one request of the page


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def url(folder):
    """Address with the token, of a workspace that has no film yet."""
    start = [sys.executable, "-m", "bunny", "review", "--port", "0", "--no-browser"]
    where = ["--data-dir", str(folder / "data"), "--set", "review.run_until=extract"]
    with subprocess.Popen(
        [*start, *where], stdout=subprocess.PIPE, text=True, cwd=folder
    ) as server:
        try:
            found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", server.stdout.readline())
            assert found, "no address was printed"
            yield found.group(0)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


@pytest.fixture
def visit(chromium, url):
    """Open the page as somebody; all pages are closed in the end, and none complained."""
    contexts, complaints = [], []

    def open_page(user):
        context = chromium.new_context(viewport={"width": 1000, "height": 760})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(ANSWER_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        page.get_by_label("Your name").fill(user)
        page.get_by_label("Your name").press("Tab")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def row(page, name):
    return page.locator(".film", has=page.get_by_text(name, exact=True))


def wait_for_state(page, name, state):
    row(page, name).and_(page.locator(f'[data-state="{state}"]')).wait_for(timeout=RUN_MS)


def test_a_film_is_added_named_and_run_while_nobody_looks(visit, folder, tmp_path):
    film = encode(tmp_path / "first.mp4", 1.0)
    picture = tmp_path / "anna one.png"
    cv2.imwrite(str(picture), np.full((80, 80, 3), 90, np.uint8))
    page = visit("Anna")
    page.get_by_text("No film has been added yet.").wait_for()
    page.locator("#choose").set_input_files(film)
    wait_for_state(page, "first.mp4", "ready")
    assert "by Anna" in row(page, "first.mp4").inner_text()
    row(page, "first.mp4").locator(".character").fill("anna")
    row(page, "first.mp4").locator(".pictures").set_input_files(picture)
    row(page, "first.mp4").get_by_role("button", name="Add references").click()
    page.get_by_text("References: anna (1)").wait_for()
    row(page, "first.mp4").get_by_role("button", name="Run").click()
    wait_for_state(page, "first.mp4", "running")
    page.close()  # the film goes on
    page = visit("Anna")
    wait_for_state(page, "first.mp4", "done")
    (output,) = (folder / "data" / "output").glob("first-*")
    assert json.loads((output / "stage/extract/stage.json").read_text())["status"] == "done"
    given = [
        p.name
        for p in Path(json.loads((output / "source.json").read_text())["references"]).rglob("*.png")
    ]
    assert len(given) == 1 and given[0].startswith("anna-one")
    row(page, "first.mp4").get_by_role("button", name="Log").click()
    page.locator(".log", has_text="extract").wait_for()
    row(page, "first.mp4").locator(".character").fill("anna")
    row(page, "first.mp4").locator(".pictures").set_input_files(picture)
    row(page, "first.mp4").get_by_role("button", name="Add references").click()
    page.get_by_text("Run the film again to use the new references.").wait_for()
    row(page, "first.mp4").get_by_role("button", name="Run again").click()
    wait_for_state(page, "first.mp4", "done")


def test_a_board_is_found_by_its_films_address(visit, url, folder):
    """Where no film was there at first, the board of a film that came since is opened by link."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "view" / "board"))
    import made

    sys.path.pop(0)
    made.write_film(folder / "data" / "output" / "made-00000000", made.small_rows())
    page = visit("Anna")
    page.goto(f"{url}&film=made-00000000", timeout=RUN_MS)
    page.wait_for_selector(".bb.is-ready", timeout=RUN_MS)
    page.get_by_role("link", name="Films").click()
    page.get_by_text("Add films").wait_for()


def test_every_film_of_the_workspace_and_the_sample_are_listed(visit):
    """After the test before: a film that did not come by the page leads to its board."""
    page = visit("Anna")
    page.goto(page.url.replace("/?", "/films?"))
    known = row(page, "made.mp4")
    known.wait_for()
    assert "film=made-00000000" in known.get_by_role("link").get_attribute("href")
    assert known.get_by_role("button", name="Run again").is_visible()
    sample = row(page, "Sample film")
    assert sample.get_by_role("button", name="Run", exact=True).is_visible()
    page.get_by_role("link", name="Back to the board").click()
    page.wait_for_selector(".bb.is-ready", timeout=RUN_MS)


def test_an_upload_that_is_cut_off_goes_on_where_it_stopped(visit, folder, tmp_path):
    film = encode(tmp_path / "cut.mp4", 1.0)
    with film.open("ab") as stream:  # two parts and a bit; decoders pass over a free box
        rest = np.random.default_rng(0).bytes(2 * PART)
        stream.write((len(rest) + 8).to_bytes(4, "big") + b"free" + rest)
    page = visit("Anna")
    sent = []

    def cut(route, request):
        if request.method != "PATCH":
            return route.continue_()
        sent.append(int(request.headers["upload-offset"]))
        return route.continue_() if len(sent) == 1 else route.abort("connectionreset")

    page.route(re.compile("/films/upload/"), cut)
    page.locator("#choose").set_input_files(film)
    row(page, "cut.mp4").wait_for()
    page.wait_for_function("!!document.querySelector('[data-state=uploading] progress')?.value")
    page.close(run_before_unload=False)  # in the middle
    assert sent[:2] == [0, PART]
    page = visit("Anna")
    page.get_by_text(re.compile(r"\d+ % uploaded: add the same file again to resume")).wait_for()
    asked = []
    page.on("request", lambda r: r.method == "PATCH" and asked.append(r.headers["upload-offset"]))
    page.locator("#choose").set_input_files(film)
    wait_for_state(page, "cut.mp4", "ready")
    assert asked == [str(PART), str(2 * PART)]
    assert (folder / "data" / "film" / "cut.mp4").read_bytes() == film.read_bytes()


def test_a_broken_connection_is_tried_again(visit, folder, tmp_path):
    film = encode(tmp_path / "flaky.mp4", 1.5)
    page, failed = visit("Anna"), []

    def break_once(route, request):
        if request.method == "PATCH" and not failed:
            failed.append(request.url)
            return route.abort("connectionreset")
        return route.continue_()

    page.route(re.compile("/films/upload/"), break_once)
    page.locator("#choose").set_input_files(film)
    wait_for_state(page, "flaky.mp4", "ready")
    assert len(failed) == 1
    assert (folder / "data" / "film" / "flaky.mp4").read_bytes() == film.read_bytes()


def test_two_people_add_films_at_once_and_see_each_others(visit, tmp_path):
    films = [encode(tmp_path / f"{name}.mp4", 1.0, seed) for seed, name in enumerate("xyz", 10)]
    anna, ben = visit("Anna"), visit("Ben")
    anna.locator("#choose").set_input_files(films[:2])
    ben.locator("#choose").set_input_files(films[1:])  # y.mp4 is sent by both
    for page in (anna, ben):
        for name in ("x.mp4", "z.mp4"):
            wait_for_state(page, name, "ready")
    states = anna.locator(".film", has=anna.get_by_text("y.mp4", exact=True))
    anna.wait_for_function(
        "() => [...document.querySelectorAll('.film')].filter(f => "
        "f.querySelector('.name').textContent == 'y.mp4').every(f => "
        "['ready', 'refused'].includes(f.dataset.state))"
    )
    found = [states.nth(number).get_attribute("data-state") for number in range(states.count())]
    assert found.count("ready") == 1  # once, whoever was first; a second copy is refused
    row(anna, "x.mp4").get_by_role("button", name="Run").click()
    wait_for_state(ben, "x.mp4", "done")  # no click of Ben's


def test_what_is_no_film_is_refused_in_a_sentence(visit, tmp_path):
    page = visit("Anna")
    (tmp_path / "notes.txt").write_text("no film")
    page.locator("#choose").set_input_files(tmp_path / "notes.txt")
    page.get_by_role("alert").get_by_text("notes.txt: expected a film").wait_for()
    (tmp_path / "liar.mp4").write_bytes(b"<html>" + bytes(500))
    page.locator("#choose").set_input_files(tmp_path / "liar.mp4")
    wait_for_state(page, "liar.mp4", "refused")
    assert "expected a film" in row(page, "liar.mp4").locator(".said").inner_text()
    row(page, "liar.mp4").get_by_role("button", name="Remove from list").click()
    row(page, "liar.mp4").wait_for(state="detached")


def test_a_film_is_cancelled_and_tried_again(visit, tmp_path):
    film = encode(tmp_path / "long.mp4", 60.0)
    page = visit("Anna")
    page.locator("#choose").set_input_files(film)
    wait_for_state(page, "long.mp4", "ready")
    row(page, "long.mp4").get_by_role("button", name="Run").click()
    wait_for_state(page, "long.mp4", "running")
    row(page, "long.mp4").get_by_role("button", name="Cancel").click()
    wait_for_state(page, "long.mp4", "cancelled")
    row(page, "long.mp4").get_by_role("button", name="Try again").click()
    wait_for_state(page, "long.mp4", "done")
