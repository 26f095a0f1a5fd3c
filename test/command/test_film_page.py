"""The page for adding films, over HTTP: the tus protocol, its refusals, a film that runs."""

import base64
import contextlib
import hashlib
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import http_attack
import numpy as np
import pytest
from http_attack import ask
from noise_film import encode

from bunny.batch import film_record
from bunny.batch.film_queue import FilmQueue
from bunny.command import film_page
from bunny.core.error import UserError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="ends servers by SIGINT"),
]


class Page:
    """Requests to a server, with its token or without."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token

    def ask(self, method, path, body=b"", *, has_token=True, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if has_token:
            sent["Authorization"] = f"token {self.token}"
        with contextlib.closing(connection):
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def add(self, name, size, **told):
        """Begin an upload; its path, or the sentence of the refusal."""
        words = {"filename": name, "user": "anna", **told}
        pairs = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in words.items())
        status, headers, body = self.ask(
            "POST", "/films/upload", Upload_Length=str(size), Upload_Metadata=pairs
        )
        return headers["Location"] if status == 201 else json.loads(body)["error"]

    def send(self, path, offset, data, **headers):
        return self.ask(
            "PATCH",
            path,
            data,
            Upload_Offset=str(offset),
            Content_Type="application/offset+octet-stream",
            **headers,
        )

    def films(self):
        return json.loads(self.ask("GET", "/films/list")[2])["films"]

    def wait(self, entry, *states, seconds=120):
        until = time.monotonic() + seconds
        while True:
            [film] = [one for one in self.films() if one["entry"] == entry]
            if film["state"] in states:
                return film
            assert time.monotonic() < until, film
            time.sleep(0.1)


@contextlib.contextmanager
def serving(folder):
    """A workspace without a film, served."""
    command = [sys.executable, "-m", "bunny", "review", "--port", "0", "--no-browser"]
    command += ["--set", "review.run_until=extract", "--set", "review.max_upload_gib=0.001"]
    with subprocess.Popen(
        [*command, "--data-dir", str(folder / "data")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    ) as server:
        try:
            line = server.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", line)
            assert found and line.startswith("the page for adding films is at "), line
            yield Page(int(found[1]), found[2])
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def page(folder):
    with serving(folder) as found:
        yield found


def test_a_workspace_without_a_film_begins_with_the_page(page):
    status, headers, body = page.ask("GET", "/")
    assert status == 200
    assert "Add films" in body.decode()
    assert re.search(r'name="xsrf" content="[^"{]{20,}"', body.decode())
    assert page.ask("GET", "/films")[2].decode().count("Add films") == body.decode().count(
        "Add films"
    )
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.attack
def test_nobody_without_the_token_adds_or_sees_films(page):
    entry = page.add("a.mp4", 10).rpartition("/")[2]
    for method, path in [
        ("GET", "/films/list"),
        ("POST", "/films/upload"),
        ("HEAD", f"/films/upload/{entry}"),
        ("PATCH", f"/films/upload/{entry}"),
        ("DELETE", f"/films/upload/{entry}"),
        ("POST", f"/films/{entry}/start"),
        ("POST", f"/films/{entry}/cancel"),
        ("POST", f"/films/{entry}/remove"),
        ("POST", f"/films/{entry}/reference?name=a&file=a.png"),
        ("GET", f"/films/{entry}/log"),
    ]:
        assert page.ask(method, path, has_token=False)[0] == 403, path
    assert page.ask("GET", "/films", has_token=False)[0] == 302  # to the login
    assert [one["state"] for one in page.films()] == ["uploading"]
    assert page.ask("DELETE", f"/films/upload/{entry}")[0] == 204
    assert page.ask("POST", f"/films/{entry}/remove")[0] == 200
    assert page.films() == []


@pytest.mark.attack
def test_another_sites_page_cannot_add_films(page):
    token = f"?token={page.token}"
    evil = {"Origin": "http://evil.example", "Upload_Length": "10", "Upload_Metadata": ""}
    assert ask(page.port, f"/films/upload{token}", "POST", body="a", **evil).status == 403
    assert ask(page.port, f"/films/list{token}", host="evil.example").status == 403
    cross = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
    assert ask(page.port, f"/films/upload{token}", "POST", body="a", **cross).status == 403


@pytest.mark.attack
def test_a_browser_that_is_logged_in_needs_the_pages_own_word_too(page):
    """A cookie alone, as another site's page would send it, changes nothing."""
    entered = ask(page.port, f"/films?token={page.token}")
    jar = "; ".join(v.partition(";")[0] for v in entered.headers.get_all("Set-Cookie"))
    posted = {"Cookie": jar, "Upload_Length": "10", "Upload_Metadata": "filename YS5tcDQ="}
    refused = ask(page.port, "/films/upload", "POST", body="", **posted)
    assert refused.status == 403
    word = re.search(r'name="xsrf" content="([^"]+)"', entered.body.decode())[1]
    taken = ask(page.port, "/films/upload", "POST", body="", X_XSRFToken=word, **posted)
    assert taken.status == 201
    page.ask("DELETE", taken.headers["Location"])
    page.ask("POST", f"/films/{taken.headers['Location'].rpartition('/')[2]}/remove")


def test_the_protocol_is_the_one_that_others_speak(page):
    status, headers, _ = page.ask("OPTIONS", "/films/upload")
    assert (status, headers["Tus-Version"]) == (204, "1.0.0")
    assert headers["Tus-Extension"] == "creation,termination,checksum"
    path = page.add("a.mp4", 6)
    status, headers, body = page.ask("HEAD", path)
    assert (status, headers["Upload-Offset"], headers["Upload-Length"], body) == (
        200,
        "0",
        "6",
        b"",
    )
    status, headers, _ = page.send(path, 0, b"abc")
    assert (status, headers["Upload-Offset"], headers["Tus-Resumable"]) == (204, "3", "1.0.0")
    status, headers, body = page.send(path, 0, b"abc")
    assert (status, headers["Upload-Offset"]) == (409, "3")
    digest = base64.b64encode(hashlib.sha256(b"xyz").digest()).decode()
    assert page.send(path, 3, b"de", Upload_Checksum=f"sha256 {digest}")[0] == 460
    assert page.send(path, 3, b"de", Upload_Checksum="md5 AAAA")[0] == 400
    assert page.send(path, 3, b"defghi")[0] == 400
    assert page.ask("HEAD", path)[1]["Upload-Offset"] == "3"
    assert page.send(path, "3x", b"d")[0] == 400
    assert page.ask("HEAD", "/films/upload/" + "0" * 16)[0] == 404
    assert page.ask("DELETE", path)[0] == 204
    page.ask("POST", f"/films/{path.rpartition('/')[2]}/remove")


@pytest.mark.attack
def test_what_is_too_large_is_refused_in_a_sentence(page):
    assert "expected a film" in page.add("virus.exe", 10)
    assert "1 byte to 0.001 GiB (review.max_upload_gib)" in page.add("a.mp4", 2 << 20)
    assert "got ''" in page.ask("POST", "/films/upload")[2].decode()
    for path in http_attack.TRAVERSALS:
        assert b"root:" not in page.ask("GET", f"/films/{path}")[2]
        assert b"root:" not in page.ask("GET", f"/films/upload/{path}")[2]


def test_a_film_runs_until_the_stage_that_is_set(page, folder):
    data = encode(folder / "short.mp4", 1.0).read_bytes()
    path = page.add("short.mp4", len(data))
    entry = path.rpartition("/")[2]
    for at in range(0, len(data), 10_000):
        part = data[at : at + 10_000]
        digest = base64.b64encode(hashlib.sha256(part).digest()).decode()
        assert page.send(path, at, part, Upload_Checksum=f"sha256 {digest}")[0] == 204
    film = page.wait(entry, "ready", "refused")
    assert (film["state"], film["user"], film["received"]) == ("ready", "anna", len(data))
    assert str(folder) not in json.dumps(film)
    picture = cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    where = f"/films/{entry}/reference?name=anna&file=../anna.png"
    assert page.ask("POST", where, picture)[0] == 200
    status, _, body = page.ask("POST", f"/films/{entry}/reference?name=a&file=a.png", b"<html>")
    assert (status, "expected a readable picture" in body.decode()) == (400, True)
    assert page.ask("POST", f"/films/{entry}/reference?name=..&file=a.png", picture)[0] == 400
    [film] = page.films()
    assert film["references"] == {"anna": 1}
    assert page.ask("POST", f"/films/{entry}/start")[0] == 200
    film = page.wait(entry, "done", "failed", "refused")
    assert film["state"] == "done", film["error"]
    space = folder / "data" / "output" / film["film_id"]
    assert [p.parent.name for p in space.glob("stage/*/stage.json")] == ["extract"]  # run_until
    source = json.loads((space / "source.json").read_text(encoding="utf-8"))
    assert source["film"] == str(folder / "data" / "film" / "short.mp4")
    assert Path(source["references"]).name == "reference"
    said = json.loads(page.ask("GET", f"/films/{entry}/log")[2])["log"]
    assert "extract" in said


def test_a_film_that_runs_says_its_share_and_time_left(tmp_path):
    queue = FilmQueue(tmp_path, 1 << 30)
    entry = queue.add("a.mp4", 10, "anna").entry
    film = replace(queue.find(entry), state="running")
    assert (film_page.describe(queue, film)["progress"], film.state) == ("", "running")
    now = film_record.now()
    record = film_record.RunningFilm(
        film="/somewhere/a.mp4",
        node="n",
        attempt=1,
        phase="",
        started_at=now,
        seen_at=now,
        stage="detect",
        share=0.256,
        seconds_left=720.0,
    )
    film_record.write(film_record.path_of(queue.record_folder(entry), record.film), record)
    told = film_page.describe(queue, film)
    assert (told["share"], told["progress"]) == (0.256, "detect, 26 %, about 12 min left")
    assert "/somewhere" not in json.dumps(told)
    assert film_page.describe(queue, replace(film, state="waiting"))["share"] is None


@pytest.mark.attack
def test_metadata_that_is_no_base64_is_refused():
    with pytest.raises(UserError, match="expected Base64"):
        film_page.read_metadata("filename ???")
    with pytest.raises(UserError, match="expected sha256, got md5"):
        film_page.read_checksum("md5 AAAA")
    assert film_page.read_checksum("") is None
