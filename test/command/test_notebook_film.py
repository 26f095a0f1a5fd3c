"""The film of a notebook: from any folder, by its path, and outputs without classes."""

from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from bunny.command import notebook_film
from bunny.view.html import Note

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shell():
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_a_film_is_found_by_its_path_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"film")
    space, config = notebook_film.open_film("a.mp4", data_dir=str(tmp_path / "data"))
    assert space.root.parent == tmp_path / "data" / "output"
    assert space.source()["film"] == str(tmp_path / "a.mp4")
    assert Path.cwd() == ROOT and config.project.data_dir == str(tmp_path / "data")
    again, _ = notebook_film.open_film(film_id=space.film_id[:3], data_dir=str(tmp_path / "data"))
    assert again == space


@pytest.mark.parametrize("name", ["config/main.yaml", "data/output/film/source.json"])
def test_a_folder_with_films_or_settings_is_stayed_in(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    monkeypatch.chdir(tmp_path)
    notebook_film.enter_project()
    assert Path.cwd() == tmp_path


def test_pictures_have_words_in_place_of_a_class(shell):
    notebook_film.name_pictures()
    shown, _ = shell.display_formatter.format(Image.new("RGB", (4, 3)))
    assert shown["text/plain"] == "picture: 4 x 3 px"
    shown, _ = shell.display_formatter.format(Note(["done"]))
    assert shown["text/plain"] == "done"


def test_an_error_of_ours_is_one_sentence_in_a_notebook(shell, capsys):
    shell.run_cell("from bunny.core.error import UserError; raise UserError('run finetune first')")
    said = capsys.readouterr()
    assert "run finetune first" in said.out + said.err and "Traceback" not in said.out + said.err
