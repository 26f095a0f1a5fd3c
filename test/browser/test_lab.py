"""Every notebook in a real JupyterLab, driven in a headless Chromium."""

import contextlib
import json
import re
from pathlib import Path

import notebook_output
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = sorted(path.name for path in (ROOT / "notebook").glob("*.ipynb"))
# Each has a test of its widgets below, which runs it to its end first.
HAS_WIDGETS = tuple(
    f"{name}.ipynb"
    for name in (
        "02_filter",
        "03_detect",
        "04_cluster",
        "05_caption",
        "06_dataset",
        "09_generate",
        "11_search",
    )
)
# The others without widgets are run by papermill, see `test_run`.
WITHOUT_WIDGETS = tuple(f"{name}.ipynb" for name in ("07_finetune", "08_evaluate", "13_pair"))
MODULE = {"@jupyter-widgets/base", "@jupyter-widgets/controls", "@jupyter-widgets/output"}
LAB_ONLY = re.compile(r"jupyterapp|requirejs|\brequire\(|@jupyterlab/")

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def run_to_end(jupyter, name):
    """An open notebook all of whose cells have run; nothing may complain until it is closed."""
    with jupyter.open(name) as book:
        cells = book.run()
        outputs = [output for cell in cells for output in cell["outputs"]]
        assert [output["error"] for output in outputs if output["error"]] == []
        assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
        assert {mime for output in outputs for mime in output["mime"]} <= notebook_output.MIME
        stages = [output["text"] for output in outputs if output["text"].startswith("Stage **")]
        assert [text for text in stages if "was up to date" not in text] == []
        assert book.complaints == []
        yield book
        assert book.complaints == []


@pytest.mark.parametrize(
    "name", [name for name in NOTEBOOK if name not in HAS_WIDGETS + WITHOUT_WIDGETS]
)
def test_it_runs_to_its_end(jupyter, name):
    with run_to_end(jupyter, name):
        pass


@pytest.mark.parametrize("name", WITHOUT_WIDGETS)
def test_it_shows_no_widget(name):
    """Only its parameters say whether widgets are shown; no later cell asks."""
    cells = json.loads((ROOT / "notebook" / name).read_text(encoding="utf-8"))["cells"]
    asking = [cell for cell in cells if "is_interactive" in "".join(cell["source"])]
    assert [cell["metadata"]["tags"] for cell in asking] == [["parameters"]]


def test_sliders_and_buttons_of_the_filter_answer(jupyter, project):
    with run_to_end(jupyter, "02_filter.ipynb") as book:
        book.wait_for("kept: 6")
        book.slide("blur_threshold", "End")  # 1: nothing is that sharp
        book.wait_for("6 newly dropped")
        assert "blurred: 6" in book.text() and "kept" not in book.text().splitlines()[0]
        book.press("generous")
        book.wait_for("kept: 6")
        book.press("Save for this film")
        book.wait_for("saved to")
        (saved,) = (project / "config").glob("local_three-shots-*.yaml")
        chosen = yaml.safe_load(saved.read_text(encoding="utf-8"))
        saved.unlink()
        assert chosen["filtering"]["preset"] == "generous"


def test_people_change_with_the_threshold_and_the_choice_of_who(jupyter):
    with run_to_end(jupyter, "03_detect.ipynb") as book:
        book.wait_for("0 changed tracks")
        book.slide("figure_score", "End")  # 1.5: no drawn figure is that like its reference
        book.wait_for("bunny → unknown")
        book.slide("figure_score", "Home")
        book.page.locator(".widget-dropdown select").select_option("bruno")
        book.wait_for("bruno:")
        assert re.search(
            r"^bruno: \d+ tracks sorted by doubt, page 1 of", book.text(), re.MULTILINE
        )


def test_scenes_follow_their_threshold(jupyter):
    with run_to_end(jupyter, "04_cluster.ipynb") as book:
        book.label("scene_threshold").wait_for()
        before = book.text()
        book.slide("scene_threshold", "End")  # 1: a picture is like nothing but itself
        book.page.wait_for_function(CHANGED, arg=before)


def test_captions_follow_the_trigger_word(jupyter):
    with run_to_end(jupyter, "05_caption.ipynb") as book:
        field = book.page.locator(".widget-text", has=book.label("trigger_word")).locator("input")
        field.fill("sks {name}")
        field.press("Enter")
        book.wait_for("sks bunny character")
        field.fill("sks")
        field.press("Enter")
        book.wait_for("expected a template that contains {name}")


def test_the_set_follows_the_margin(jupyter):
    """All figures of this film are as high as their frames: the page says that none has room."""
    with run_to_end(jupyter, "06_dataset.ipynb") as book:
        book.wait_for("a crop margin of 0.30 changes the crops of 0 of 6 subjects")
        book.slide("crop_margin", "End")  # 1.5 of the box on each side
        book.wait_for("a crop margin of 1.50 changes the crops of 0 of 6 subjects")


def test_a_prompt_is_shown_as_it_is_read_and_drawn_at_a_click(jupyter):
    with run_to_end(jupyter, "09_generate.ipynb") as book:
        field = book.page.locator(".widget-textarea textarea")
        field.fill("{trigger} on the moon")
        field.press("Tab")
        book.wait_for("bunny character on the moon")
        book.press("Draw")
        book.wait_for("1 picture in")


def test_search_answers_words_a_filter_and_more_like_this(jupyter):
    with run_to_end(jupyter, "11_search.ipynb") as book:
        field = book.page.locator(".widget-text input")
        field.fill("bunny")
        field.press("Enter")
        book.wait_for('"bunny": 3 shots')
        book.page.locator(".bunny-shot .said", has_text="words bunny").first.wait_for()
        who = book.page.locator(".widget-dropdown", has=book.label("who"))
        who.locator("select").select_option("bruno")
        book.wait_for('"bunny": 2 shots')  # in the first of three he is not
        # A list comes after the words above it: of an older one another shot would be clicked.
        book.page.wait_for_function(COUNTED, arg=["more like this", 2])
        book.page.get_by_role("button", name="more like this").first.click()
        book.wait_for("-s00001: 1 shots")
        book.page.wait_for_function(COUNTED, arg=["pick", 1])
        book.press("pick")
        book.page.get_by_role("button", name="Send to timeline (1)").wait_for()


COUNTED = """([name, count]) => [...document.querySelectorAll('.jp-OutputArea button')]
  .filter(node => node.innerText.trim() === name).length === count"""
CHANGED = """before => [...document.querySelectorAll('.widget-html')]
  .map(node => node.innerText).join('\\n') !== before"""


def test_explorers_are_made_of_plain_widgets(project, monkeypatch):
    import ipywidgets

    from bunny.command import film_workspace
    from bunny.view.widget import caption, character, dataset, generation, quality, scene

    monkeypatch.chdir(project)
    space, config = film_workspace.open_film(None)
    for explore in (
        quality.explore_quality,
        character.explore_people,
        scene.explore_scene,
        caption.explore_captions,
        dataset.explore_dataset,
        generation.explore_generation,
    ):
        ipywidgets.Widget.close_all()
        explore(space, config)
        models = ipywidgets.Widget.get_manager_state()["state"].values()
        assert models and {model["model_module"] for model in models} <= MODULE


def test_nothing_asks_for_one_front_end():
    sources = [p for kind in ("py", "js", "mjs") for p in (ROOT / "src").rglob(f"*.{kind}")]
    sources += (ROOT / "notebook").glob("*.ipynb")
    found = [p.name for p in sources if LAB_ONLY.search(p.read_text(encoding="utf-8"))]
    assert found == []
