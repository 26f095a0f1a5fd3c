"""From a wrong name to a mended set on the board, in a real browser."""

import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from bunny.command import film_workspace
from bunny.dataset import approval
from bunny.review import event_log
from bunny.table import store

pytestmark = pytest.mark.slow

WAIT_MS = 180_000  # a kernel or a run on a busy machine


@pytest.fixture(scope="module")
def space(small_project, tmp_path_factory):
    """A finished film of its own."""
    folder = shutil.copytree(small_project.folder, tmp_path_factory.mktemp("apply") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield film_workspace.open_film(None)[0]


@pytest.fixture
def page(chromium, space):
    """The film's board, opened by Mia."""
    start = [sys.executable, "-m", "bunny", "review", "--port", "0", "--no-browser"]
    root = space.root.parents[2]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True, cwd=root) as server:
        context = chromium.new_context(viewport={"width": 1280, "height": 720})
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", server.stdout.readline())
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.goto(url.group(0))
            page.wait_for_selector(".bb.is-ready")
            page.locator(".bb-user").click()
            page.get_by_role("textbox", name="Your name").fill("mia")
            page.keyboard.press("Enter")
            page.get_by_role("radio", name="Characters").click()
            yield page
        finally:
            context.close()
            server.send_signal(signal.SIGINT)
            server.wait(60)


def rename(page, cluster, name):
    page.locator(f'[data-cluster="{cluster}"] .bb-name').dblclick()
    page.get_by_role("textbox", name="New name").fill(name)
    page.keyboard.press("Enter")


def test_a_correction_is_applied_and_the_new_set_approved(page, space):
    rename(page, "bruno", "bear")
    line = page.locator(".bb-update")
    line.get_by_text("1 correction not yet in the set").wait_for()
    page.get_by_role("button", name="Training sets").click()
    said = page.locator("dialog[open] .bb-behind")
    said.get_by_text("Press Apply, look at the new set, then approve it.").wait_for()
    page.wait_for_function(
        "document.querySelector('.bb-actions .bb-strong')?.textContent.startsWith('Approve')"
    )
    assert page.locator("dialog[open] .bb-actions .bb-strong").is_disabled()
    said.get_by_role("button", name="Apply").click()
    line.locator("progress").wait_for()
    page.locator("[role=treeitem]").first.click()  # the board answers meanwhile
    page.locator(".bb-title", has_text="All items").wait_for()
    page.locator("dialog[open] h2", has_text="Training sets").wait_for()  # without another click
    line.wait_for(state="hidden")
    assert page.locator("dialog[open] .bb-behind").count() == 0
    labels = store.read(space.table, "label_corrected")["character"]
    assert "bear" in labels.to_list() and "bruno" not in labels.to_list()


def test_a_set_that_a_page_shows_too_long_is_not_approved(page, space):
    page.get_by_role("button", name="Training sets").click()
    approve = page.locator("dialog[open] .bb-actions .bb-strong")
    page.wait_for_function(
        "document.querySelector('.bb-actions .bb-strong')?.textContent.startsWith('Approve')"
    )
    last = event_log.read(space.root)[-1]  # somebody else corrects, a moment before the click
    event_log.append(space.root, [replace(last, event_id="0" * 32, user="ben", text="grizzly")])
    approve.click()
    page.locator("dialog[open] .bb-toast.is-bad", has_text="press Apply on the board").wait_for()
    assert not (space.root / approval.FILE).exists()


def test_a_run_that_fails_is_a_sentence_on_the_board(page, space):
    source = space.root / "source.json"
    kept = source.read_text()
    rename(page, "bear", "bruno")
    page.locator(".bb-update", has_text="not yet in the set").wait_for()
    source.write_text(kept.replace(space.source()["film"], "/gone.mp4"))
    page.locator(".bb-update").get_by_role("button", name="Apply").click()
    page.locator(".bb-update.is-bad", has_text="The run failed: /gone.mp4").wait_for()
    source.write_text(kept)
