"""The board's server attacked over HTTP, and what it refuses to listen on."""

import contextlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import http_attack
import pytest
from http_attack import ask
from prometheus_client import parser
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from bunny.command import login, review_server
from bunny.core.error import UserError

sys.path.insert(0, str(Path(__file__).parents[1] / "view" / "board"))
import made

sys.path.pop(0)

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="ends servers by SIGINT")]

EVIL = "http://evil.example"
NO_KERNEL = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    made.write_film(data / "output" / "made-00000000", made.small_rows())
    return data


@contextlib.contextmanager
def serving(data_dir, *arguments):
    """A board's port, its token, what it printed first, and the file of what it complains about."""
    command = [sys.executable, "-m", "bunny", "review", "made", "--port", "0", "--no-browser"]
    said = data_dir / "said.txt"
    with said.open("w") as errors:
        server = subprocess.Popen(
            [*command, "--data-dir", str(data_dir), *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=data_dir,
        )
    try:
        lines = []
        for line in server.stdout:
            lines.append(line)
            found = re.search(r"https?://[^/]+:(\d+)/\?token=(\S+)", line)
            if found:
                yield int(found[1]), found[2], lines, said
                return
        pytest.fail(said.read_text())
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)


@pytest.fixture(scope="module")
def board(data_dir):
    with serving(data_dir) as (port, token, _, said):
        yield port, token, said


def path_of(token, place=""):
    return f"/{place}?token={token}"


@pytest.mark.attack
def test_a_page_of_another_name_that_points_here_gets_nothing(board):
    """DNS rebinding: the browser believes that it talks to the attacker's own site."""
    port, token, _ = board
    names = ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.io")
    for host in (*names, "evil@127.0.0.1", "127.0.0.1, evil.example", "10.0.0.7", ""):
        assert ask(port, path_of(token, "voila/static/voila.js"), host=host).status in (400, 403)
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "LOCALHOST"):
        assert ask(port, path_of(token, f"api/kernels/{NO_KERNEL}"), host=host).status == 404


def test_metrics_of_the_film_are_served_to_who_shows_the_token(board, data_dir):
    record = data_dir / "output" / "made-00000000" / "stage" / "detect" / "stage.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text('{"status": "running"}', encoding="utf-8")
    port, token, _ = board
    for answer in (
        ask(port, path_of(token, "metrics")),
        ask(port, "/metrics", Authorization=f"Bearer {token}"),
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        families = parser.text_string_to_metric_families(answer.body.decode())
        samples = [sample for family in families for sample in family.samples]
        assert {sample.labels["film"] for sample in samples} == {"made-00000000"}
        values = {tuple(sample.labels.values()): sample.value for sample in samples}
        assert values["made-00000000", "detect"] == 0
    for path in ("/metrics", path_of("wrong", "metrics")):
        answer = ask(port, path)
        assert answer.status == 403 and b"bunny_" not in answer.body
    assert ask(port, path_of(token, "metrics"), host="evil.example").status == 403
    assert ask(port, path_of(token, "metrics"), Origin=EVIL).status == 403
    assert ask(port, path_of(token, "metrics"), "POST", body="a=1").status == 403


@pytest.mark.attack
@pytest.mark.parametrize("origin", [EVIL, "null", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_pages_of_other_sites_are_refused_with_the_token_and_without(board, origin):
    port, token, _ = board
    channels = f"api/kernels/{NO_KERNEL}/channels"
    kernel = path_of(token, f"api/kernels/{NO_KERNEL}")
    assert ask(port, kernel, Origin=origin).status == 403
    assert ask(port, kernel, "DELETE", Origin=origin).status == 403
    answer = ask(port, path_of(token, channels), Origin=origin, **http_attack.WEB_SOCKET)
    assert answer.status == 403
    assert ask(port, "/login", "POST", body="password=x", Origin=origin).status == 403


@pytest.mark.attack
def test_other_sites_cannot_use_the_cookie(board):
    """Cross-site request forgery: a browser that is logged in sends its cookie along."""
    port, token, _ = board
    entered = log_in(port, token)
    cookie = http_attack.cookies(entered)
    assert entered.status == 302 and "username-" in cookie
    assert "httponly" in str(entered.headers.get_all("Set-Cookie")).lower()
    kernel = f"/api/kernels/{NO_KERNEL}"
    same = {"Cookie": cookie, "Referer": f"http://127.0.0.1:{port}/"}
    assert ask(port, kernel, **same).status == 404  # logged in
    foreign = {"Cookie": cookie, "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
    assert ask(port, "/", **foreign).status == 403  # an image of another page begins no kernel
    framed = {**foreign, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
    assert ask(port, "/", **framed).status == 403
    posted = {**foreign, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    shutdown = f"/voila/api/shutdown/{NO_KERNEL}"
    assert ask(port, shutdown, "POST", body="a=1", **posted).status == 403
    old_browser = {"Cookie": cookie}
    assert ask(port, shutdown, "POST", body="a=1", **old_browser).status == 403


def log_in(port, password, **options):
    """What the log-in form answers to a password or token."""
    form = ask(port, "/login", **options)
    assert b'type="password"' in form.body
    body, cookie = f"password={password}&_xsrf={_xsrf(form)}", http_attack.cookies(form)
    return ask(port, "/login", "POST", body=body, Cookie=cookie, **options)


def _xsrf(answer):
    return re.search(r"_xsrf=([^;]+)", str(answer.headers.get_all("Set-Cookie")))[1]


@pytest.mark.attack
@pytest.mark.parametrize("place", ["voila/files/", "voila/static/", "voila/templates/lab/"])
@pytest.mark.parametrize("path", http_attack.TRAVERSALS)
def test_no_path_leads_out_of_what_is_served(board, place, path):
    port, token, _ = board
    for query in ("", f"?token={token}"):
        answer = ask(port, f"/{place}{path}{query}")
        assert answer.status >= 300 and b"root:" not in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "logout",
        "voila/templates/lab/static/",
        "voila/templates/lab/static",
        "voila/templates/lab/other/a.js",
        "voila/templates/lab/static/../../a.js",
        "voila/templates/lab%2fstatic%2fa.js",
        "voila/templates/",
        "voila/static/",
        "voila/static/a%00.js",
        "voila/static/" + "a/" * 3000,
        "static/..",
        "%2e%2e/a",
        "api/kernels/x",
        "films/upload/x",
    ],
)
def test_no_path_ends_in_a_traceback(board, path):
    port, token, said = board
    for query in ("", f"?token={token}"):
        assert ask(port, f"/{path}{query}").status < 500
    assert "Traceback" not in said.read_text()


@pytest.mark.attack
def test_the_notebook_and_themes_are_not_served(board):
    port, token, _ = board
    for place in ("voila/files/board.ipynb", "voila/api/themes/../board.ipynb"):
        assert ask(port, path_of(token, place)).status in (403, 404)


@pytest.mark.attack
def test_without_the_token_nothing_is_shown(board):
    port, _, _ = board
    for place in ("", "board.ipynb", f"api/kernels/{NO_KERNEL}"):
        answer = ask(port, f"/{place}")
        assert answer.status in (302, 403) and b"film_id" not in answer.body
    answer = ask(port, f"/api/kernels/{NO_KERNEL}/channels", **http_attack.WEB_SOCKET)
    assert answer.status == 403


@pytest.mark.attack
def test_the_address_with_the_token_goes_to_no_other_site(board):
    port, token, _ = board
    for path in (path_of(token, f"api/kernels/{NO_KERNEL}"), "/login"):
        headers = ask(port, path).headers
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.attack
def test_tokens_cannot_be_tried_without_end_and_the_right_one_still_passes(board):
    port, token, _ = board
    known = f"api/kernels/{NO_KERNEL}"
    statuses = [ask(port, path_of(f"guess-{i}", known)).status for i in range(15)]
    assert statuses[-1] == 429 and 429 not in statuses[: login.MAX_WRONG - 5]
    wrong = {"Authorization": "token guess"}
    assert ask(port, f"/{known}", **wrong).status == 429
    assert ask(port, "/login", "POST", body="password=guess").status == 429
    assert ask(port, f"/{known}", Authorization="Bearer\tguess").status == 429
    # Nothing in a form is taken for a token, so it need not be counted.
    assert ask(port, f"/{known}", "POST", body=f"token={token}").status == 403
    assert ask(port, path_of(token, known)).status == 404
    assert ask(port, f"/{known}", Authorization=f"Bearer {token}").status == 404


@pytest.mark.attack
def test_the_server_says_the_token_to_nobody(board):
    """This stands after the tests that were refused and answered with errors."""
    port, token, said = board
    for path in (path_of(token, "nothing/here"), path_of(token, "%00"), path_of(token, "a" * 9000)):
        ask(port, path)
    said = said.read_text()
    assert token not in said and "guess" not in said
    assert "token=<token>" in said  # it does log refusals


@pytest.mark.attack
def test_one_page_of_the_network_sees_nothing_that_another_machine_may_read(data_dir, bunny):
    """Beyond this machine: not without encryption, unless somebody says so."""
    line = ["review", "made", "--data-dir", data_dir, "--no-browser"]
    code, _, error = bunny(*line, "--ip", "0.0.0.0")
    assert code == 2 and "--certfile and --keyfile" in error and "--unencrypted" in error
    assert error.count("\n") == 1
    code, _, error = bunny(*line, "--certfile", "a.pem")
    assert code == 2 and "belong together" in error
    for name in ("a.pem", "b.pem"):
        Path(name).write_text("no certificate")
    code, _, error = bunny(*line, "--certfile", "a.pem", "--keyfile", "b.pem")
    assert code == 2 and "expected a certificate and its key" in error
    assert error.count("\n") == 1


def test_who_accepts_it_is_warned_and_other_names_are_still_refused(data_dir):
    with serving(data_dir, "--ip", "0.0.0.0", "--unencrypted") as (port, token, lines, _):
        assert "everyone on the network can read the traffic" in lines[0]
        path = path_of(token, f"api/kernels/{NO_KERNEL}")
        assert ask(port, path, host="evil.example").status == 403
        for host in ("192.0.2.7", f"192.0.2.7:{port}", socket.gethostname()):
            assert ask(port, path, host=host).status == 404


def test_a_password_of_ones_own_opens_the_board_and_is_kept_nowhere(data_dir, monkeypatch):
    monkeypatch.setenv(login.PASSWORD, "correct horse")
    known = f"/api/kernels/{NO_KERNEL}"
    with serving(data_dir, "--ip", "0.0.0.0", "--unencrypted") as (port, token, lines, said):
        assert "anyone with this URL or the password can view" in lines[0]
        assert log_in(port, "correct horses").status == 401
        entered = log_in(port, "correct+horse")
        [given] = [one for one in entered.headers.get_all("Set-Cookie") if "username-" in one]
        assert entered.status == 302 and "HttpOnly" in given and "SameSite=Strict" in given
        assert "Secure" not in given  # plain HTTP would lose it
        same = {"Cookie": http_attack.cookies(entered), "Referer": f"http://127.0.0.1:{port}/"}
        assert ask(port, known, **same).status == 404 and ask(port, known).status == 403
        assert ask(port, f"{known}?token=correct+horse").status == 403  # it is no token
        tries = [ask(port, "/login", "POST", body=f"password=guess{i}").status for i in range(10)]
        assert tries[-1] == 429
        body = "password=correct+horse"
        assert ask(port, "/login", "POST", body=body).status == 429  # for a minute
        assert ask(port, path_of(token, known[1:])).status == 404
        assert ask(port, known, **same).status == 404  # who is logged in stays so
        assert "correct horse" not in said.read_text() + "".join(lines)
    stored = [path.read_bytes() for path in data_dir.rglob("*") if path.is_file()]
    assert stored and not any(b"correct horse" in data for data in stored)


def test_a_password_that_is_soon_guessed_is_refused(data_dir, bunny, monkeypatch):
    line = ["review", "made", "--data-dir", data_dir, "--no-browser", "--port", 0]
    monkeypatch.setenv(login.PASSWORD, "too short")
    code, _, error = bunny(*line)
    assert code == 2 and "BUNNY_BOARD_PASSWORD: expected at least 10 characters, got 9" in error
    assert "too short" not in error
    monkeypatch.delenv(login.PASSWORD, raising=False)
    Path(".env").write_text("BUNNY_BOARD_PASSWORD=brief\n")
    code, _, error = bunny(*line)
    assert code == 2 and "BUNNY_BOARD_PASSWORD: expected at least 10 characters, got 5" in error
    typed = iter(["one password", "another password", "short", "short"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    for sentence in ("the two passwords differ", "expected at least 10 characters, got 5"):
        code, _, error = bunny(*line, "--ask-password")
        assert code == 2 and f"--ask-password: {sentence}" in error


@pytest.mark.attack
@pytest.mark.parametrize(
    "guess",
    [
        {"path": "/login", "method": "POST"},
        {"path": "/api?token=guess"},
        {"Authorization": "token guess"},
        {"Authorization": "Bearer\tguess"},
    ],
)
def test_addresses_together_may_guess_so_often(guess):
    """One of IPv6 has 2^64 addresses, which count as one; nobody's tries are forgotten."""
    limit = login.GuessLimit("token")

    def is_refused(ip, path="/api", method="GET", **headers):
        line = RequestStartLine(method, path, "HTTP/1.1")
        request = HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": "a", **headers}))
        request.remote_ip = ip
        return limit.is_guessing(request)

    same = [is_refused(f"2001:db8::{i:x}", **guess) for i in range(login.MAX_WRONG + 1)]
    assert same == [False] * login.MAX_WRONG + [True]
    others = [is_refused(f"10.0.{i // 256}.{i % 256}", **guess) for i in range(1100)]
    left = login.MAX_ALL - login.MAX_WRONG
    assert others == [False] * left + [True] * (1100 - left)
    assert is_refused("2001:db8::1", **guess)
    assert not is_refused("192.0.2.200", "/api?token=token")
    assert not is_refused("192.0.2.201", "/", "GET")


def test_metrics_are_served_only_where_they_are_wanted(data_dir):
    with serving(data_dir, "--set", "pipeline.has_metrics=false") as (port, token, _, _):
        answer = ask(port, path_of(token, "metrics"))
        assert answer.status != 200 and b"bunny_" not in answer.body


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that it signed itself, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    own = [f"{folder}/cert.pem", f"{folder}/key.pem"]
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=board"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", own[0], "-keyout", own[1]]
    subprocess.run(["openssl", *words, *names], check=True, capture_output=True)
    return own


def test_with_a_certificate_the_connection_is_encrypted(data_dir, certificate):
    line = ["--ip", "0.0.0.0", "--certfile", certificate[0], "--keyfile", certificate[1]]
    with serving(data_dir, *line) as (port, token, lines, _):
        assert "https://" in lines[-1] and "read along" not in "".join(lines)
        trusting = ssl.create_default_context(cafile=certificate[0])
        path = path_of(token, f"api/kernels/{NO_KERNEL}")
        assert ask(port, path, tls=trusting).status == 404
        entered = log_in(port, token, tls=trusting)
        [given] = [one for one in entered.headers.get_all("Set-Cookie") if "username-" in one]
        assert "Secure" in given and "SameSite=Strict" in given
        with pytest.raises(OSError):  # plain HTTP is not answered
            ask(port, path)


def test_a_port_that_is_taken_is_passed_over():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        assert review_server.free_port("127.0.0.1", taken) > taken
    assert review_server.free_port("127.0.0.1", 0) > 1023
    with pytest.raises(UserError, match=r"--ip 203\.0\.113\.9 --port 8866: cannot listen there"):
        review_server.free_port("203.0.113.9", 8866)


@pytest.mark.parametrize(
    ("ip", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/"),
        ("localhost", "http://127.0.0.1:80/"),
        ("::1", "http://[::1]:80/"),
        ("127.0.0.2", "http://127.0.0.2:80/"),
        ("0.0.0.0", f"http://{socket.gethostname()}:80/"),
    ],
)
def test_the_address_that_is_printed(ip, url):
    binding = review_server.Binding(ip=ip, port=80)
    assert binding.url == url and binding.is_local == (ip != "0.0.0.0")
