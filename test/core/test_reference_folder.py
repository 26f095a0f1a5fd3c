"""People named in a film are joined with the user's pictures, which are never touched."""

import json

import pytest

from bunny.core import reference_folder, workspace
from bunny.core.error import UserError


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    return path


@pytest.fixture
def user(tmp_path):
    folder = tmp_path / "mine"
    (folder / "ben").mkdir(parents=True)
    (folder / "anna.jpg").write_bytes(b"anna")
    (folder / "ben" / "1.png").write_bytes(b"ben")
    (folder / "note.txt").write_text("no picture")
    return folder


def name(space, who, data=b"view"):
    path = space.root / "named" / who / "from_film_1.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def listed(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def test_without_names_the_users_folder_is_used(tmp_path, film, user):
    space = workspace.create(tmp_path, "data", film, user)
    assert space.source()["references"] == str(user)
    assert "given_references" not in space.source()
    assert not (space.root / "reference").exists()


def test_a_name_is_joined_and_the_users_folder_stays_as_it_was(tmp_path, film, user):
    before = listed(user)
    space = workspace.create(tmp_path, "data", film, user)
    old = space.source()["reference_hash"]
    name(space, "carl")
    source = workspace.create(tmp_path, "data", film, None).source()
    assert source["references"] == str(space.root / "reference")
    assert source["given_references"] == str(user)
    assert source["reference_hash"] != old
    joined = {"anna.jpg": b"anna", "ben/1.png": b"ben", "carl/from_film_1.png": b"view"}
    assert listed(space.root / "reference") == joined
    assert listed(user) == before


def test_the_users_changes_arrive(tmp_path, film, user):
    space = workspace.create(tmp_path, "data", film, user)
    name(space, "carl")
    workspace.create(tmp_path, "data", film, user)
    (user / "anna.jpg").unlink()
    (user / "ben" / "1.png").write_bytes(b"another")
    workspace.create(tmp_path, "data", film, None)
    assert listed(space.root / "reference") == {
        "ben/1.png": b"another",
        "carl/from_film_1.png": b"view",
    }


def test_a_name_taken_back_leaves_the_users_folder(tmp_path, film, user):
    space = workspace.create(tmp_path, "data", film, user)
    first = space.source()
    path = name(space, "carl")
    workspace.create(tmp_path, "data", film, user)
    path.unlink()
    workspace.create(tmp_path, "data", film, None)
    assert space.source() == first


def test_a_film_without_references_may_have_names(tmp_path, film):
    space = workspace.create(tmp_path, "data", film, None)
    name(space, "carl")
    for given in (None, space.root / "reference"):  # the joined folder is no folder of the user's
        source = workspace.create(tmp_path, "data", film, given).source()
        assert source["given_references"] is None
        assert source["references"] == str(space.root / "reference")


def test_nothing_is_written_twice(tmp_path, film, user):
    space = workspace.create(tmp_path, "data", film, user)
    name(space, "carl")
    workspace.create(tmp_path, "data", film, user)
    times = {p: p.stat().st_mtime_ns for p in space.root.rglob("*.*")}
    workspace.create(tmp_path, "data", film, user)
    assert {p: p.stat().st_mtime_ns for p in space.root.rglob("*.*")} == times


def test_a_link_out_of_the_folder_is_refused(tmp_path, film, user):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (user / "dora.jpg").symlink_to(tmp_path / "secret.jpg")
    space = workspace.create(tmp_path, "data", film, user)
    name(space, "carl")
    with pytest.raises(UserError, match=r"dora.jpg: expected a picture inside .* points outside"):
        workspace.create(tmp_path, "data", film, user)


def test_a_folder_that_is_gone_is_none(tmp_path):
    assert reference_folder.user_folder({"references": str(tmp_path / "gone")}) is None
    assert reference_folder.user_folder(json.loads('{"references": null}')) is None
    assert reference_folder.list_pictures(None) == []
