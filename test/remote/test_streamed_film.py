"""Films at addresses of S3, streamed from a real server: the same tables from fewer bytes."""

import json
import random
import shutil
import subprocess
import threading
from fractions import Fraction
from pathlib import Path

import av
import boto3
import numpy as np
import polars as pl
import pytest
from noise_film import encode
from small_project import QUICK, command

from bunny.clip import write
from bunny.command import check_workspace
from bunny.core import film_file, workspace
from bunny.core.error import BunnyError, UserError
from bunny.video import packet_index, probe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SECRET = "planted-secret-key"
BUCKET, KEY = "films", "in/a.mp4"
ADDRESS = f"s3://{BUCKET}/{KEY}"


def encode_large(path, num_frames=700, group=12):
    """A film of about 43 MB: noise, of which no frame helps to foretell the next."""
    rng = np.random.default_rng(3)
    with av.open(str(path), "w") as out:
        options = {"preset": "ultrafast", "crf": "14", "g": str(group), "sc_threshold": "0"}
        stream = out.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = 384, 216, "gray"
        for number in range(num_frames):
            picture = rng.integers(0, 255, (216, 384), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def encode_sound(path, seconds=4):
    """A film with a sweep for its sound."""
    encode(path.with_suffix(".silent.mp4"), seconds)
    with av.open(str(path.with_suffix(".silent.mp4"))) as film, av.open(str(path), "w") as out:
        video = out.add_stream_from_template(film.streams.video[0])
        audio = out.add_stream("aac", rate=44_100, layout="stereo")
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
        times = np.arange(44_100 * seconds) / 44_100
        wave = np.sin(2 * np.pi * (200 + 300 * times) * times).astype(np.float32)
        for start in range(0, len(wave), 1024):
            part = np.stack([wave[start : start + 1024]] * 2)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("small") / "a.mp4", 2)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return encode_large(tmp_path_factory.mktemp("large") / "a.mp4")


@pytest.fixture(autouse=True)
def forget():
    """No film of another test is open."""
    film_file.opened.clear()
    yield
    film_file.opened.clear()


def put(path, key=KEY, **more):
    client = boto3.client("s3")
    data = path if isinstance(path, bytes) else path.read_bytes()
    client.put_object(Bucket=BUCKET, Key=key, Body=data, **more)
    client.close()
    return f"s3://{BUCKET}/{key}"


def make_project(folder):
    (folder / "config").mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "config" / "main.yaml", folder / "config")
    (folder / "config" / "local_quick.yaml").write_text(QUICK, encoding="utf-8")
    return folder


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "project")


def bunny(home, *words):
    return subprocess.run(command(*words), cwd=home, capture_output=True, text=True, timeout=300)


def check_refused(done, *parts):
    """One sentence, exit code 2, no credential."""
    assert done.returncode == 2, done.stderr
    assert SECRET not in done.stderr + done.stdout
    last = done.stderr.strip().splitlines()[-1].rpartition("bunny: ")[2]  # after a bar
    assert "Traceback" not in done.stderr and "dropped" not in done.stderr
    for part in parts:
        assert part in last


def tables(folder):
    found = {p.stem: pl.read_parquet(p) for p in sorted(folder.rglob("table/*.parquet"))}
    return {name: table.drop("path", strict=False) for name, table in found.items()}


def check_same(one, other):
    """Tables but for the film's place, and every picture."""
    ours, theirs = tables(one), tables(other)
    assert ours.keys() == theirs.keys() and len(ours) > 4
    assert all(ours[name].equals(theirs[name]) for name in theirs)
    pictures = [
        {p.name: p.read_bytes() for p in home.rglob("frame/*.jpg")} for home in (one, other)
    ]
    assert pictures[0] == pictures[1] and pictures[0]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, small):
    """The same film, run from a local file."""
    home = make_project(tmp_path_factory.mktemp("alone") / "home")
    assert bunny(home, "run", small, "--until", "detect").returncode == 0
    return home


@pytest.fixture(scope="module")
def large_alone(tmp_path_factory, large):
    home = make_project(tmp_path_factory.mktemp("large alone") / "home")
    assert bunny(home, "run", large, "--until", "filter").returncode == 0
    return home


def test_a_streamed_film_gives_the_tables_of_a_local_one(s3, project, small, alone):
    address = put(small)
    done = bunny(project, "run", address, "--until", "detect")
    assert done.returncode == 0, done.stderr
    check_same(project, alone)
    [space] = workspace.find(project, "data")
    assert space.source()["film"] == address
    assert space.film_id == workspace.find(alone, "data")[0].film_id
    assert pl.read_parquet(space.table / "film.parquet")["path"].to_list() == [address]
    assert not list(project.rglob("*.mp4"))
    done = bunny(project, "run", space.film_id, "--until", "detect", "--json")
    assert '"done"' not in done.stdout and done.returncode == 0
    for words in (("status",), ("where", "a@0.2"), ("doctor", "--workspace")):
        done = bunny(project, *words)
        assert done.returncode == 0, done.stderr
    done = bunny(project, "export", "timeline", "--what", "shots", "--out", "a.otio")
    assert f"editors open no {address}" in done.stdout
    text = b"".join(p.read_bytes() for p in project.rglob("*") if p.is_file())
    assert SECRET.encode() not in text


def test_film_and_workspace_both_there_and_another_machine_goes_on(s3, tmp_path, small, alone):
    one, two = make_project(tmp_path / "one"), make_project(tmp_path / "two")
    there = ("--data-dir", s3)
    done = bunny(one, "run", put(small), "--until", "extract", *there)
    assert done.returncode == 0, done.stderr
    done = bunny(two, "run", "a", "--until", "detect", *there)
    assert done.returncode == 0, done.stderr
    check_same(two, alone)


@pytest.mark.parametrize("fault", ["500", "cut", "torn"])
def test_one_of_four_requests_breaks_and_nothing_changes(proxy, project, large, large_alone, fault):
    put(large)
    proxy.plan = lambda number, method, path: fault if number % 4 == 0 else None
    done = bunny(project, "run", ADDRESS, "--until", "filter")
    assert done.returncode == 0, done.stderr
    check_same(project, large_alone)
    assert len(proxy.struck) > 10


def test_a_few_frames_of_a_long_film_cost_a_few_of_its_bytes(proxy, tmp_path, large):
    size = large.stat().st_size
    assert size > 40 << 20
    put(large, ChecksumAlgorithm="SHA256")
    sparse = ("--set", "extraction.method=interval", "--set", "extraction.interval_seconds=10")
    one, two = make_project(tmp_path / "one"), make_project(tmp_path / "two")
    proxy.num_bytes = 0
    done = bunny(one, "run", ADDRESS, "--until", "filter", *sparse)
    assert done.returncode == 0, done.stderr
    assert proxy.num_bytes < size / 4
    assert bunny(two, "run", large, "--until", "filter", *sparse).returncode == 0
    check_same(one, two)
    # Nothing is read again to say that all is as it was.
    proxy.num_bytes = 0
    assert bunny(one, "doctor", "--workspace").returncode == 0
    assert bunny(one, "run", ADDRESS, "--until", "filter", *sparse).returncode == 0
    assert proxy.num_bytes < 1 << 16


def test_memory_holds_a_bounded_number_of_blocks(s3, large):
    film = film_file.locate(put(large))
    size = large.stat().st_size
    with film_file.open_bytes(film) as stream, large.open("rb") as local:
        while data := stream.read(300_001):
            assert data == local.read(300_001)
        rng = random.Random(1)
        for at in [0, size - 1, size, size + 5, *(rng.randrange(size) for _ in range(40))]:
            assert (stream.seek(at), local.seek(at)) == (at, at)
            assert stream.read(5000) == local.read(5000)
    cache = film_file.opened[film].cache
    assert cache.cache_info().currsize == film_file.NUM_BLOCKS < size / film_file.BLOCK_BYTES
    assert cache.blocksize == film_file.BLOCK_BYTES
    for number in range(5):
        film_file.check(film_file.locate(put(b"x", f"other{number}.mp4")))
    assert len(film_file.opened) == film_file.MOST_OPEN


@pytest.mark.parametrize("kind", ["plain", "faststart", "fragmented", "mkv", "ts"])
def test_packets_and_probe_are_those_of_the_file(s3, tmp_path, small, kind):
    suffix = kind if kind in ("mkv", "ts") else "mp4"
    options = {"faststart": "faststart", "fragmented": "frag_keyframe+empty_moov"}.get(kind)
    local = tmp_path / f"film.{suffix}"
    with av.open(str(small)) as film:
        flags = {"movflags": options} if options else {}
        with av.open(str(local), "w", options=flags) as out:
            stream = out.add_stream_from_template(film.streams.video[0])
            for packet in film.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
    streamed = film_file.locate(put(local, local.name))
    ours, theirs = probe.probe(streamed), probe.probe(local)
    assert {**vars(ours), "path": 0} == {**vars(theirs), "path": 0}
    ours, theirs = packet_index.scan(ours), packet_index.scan(theirs)
    assert ours is not None and theirs is not None
    for name in ("pts", "position", "is_keyframe"):
        assert (getattr(ours, name) == getattr(theirs, name)).all()
    assert ours.end_pts == theirs.end_pts


def test_sound_is_that_of_the_file(s3, tmp_path):
    local = encode_sound(tmp_path / "sound.mp4")
    streamed = film_file.locate(put(local, "sound.mp4"))
    assert write.has_sound(streamed) and write.has_sound(local)
    for start, length in ((0.0, 1.0), (1.7, 2.0)):
        ours, theirs = (
            [frame.to_ndarray() for frame in write.read_sound(film, start, length)]
            for film in (streamed, local)
        )
        assert np.array_equal(np.hstack(ours), np.hstack(theirs))


def test_the_hash_is_that_of_the_file_and_is_read_once(proxy, tmp_path, large, small, capsys):
    digest = film_file.sha256(large)
    streamed = film_file.locate(put(large, "plain.mp4"))
    assert workspace.hash_film(tmp_path, streamed) == digest
    assert "hash: 100%" in capsys.readouterr().err  # how far it is
    proxy.num_bytes = 0
    assert workspace.hash_film(tmp_path, streamed) == digest
    assert proxy.num_bytes < 1000
    known = film_file.locate(put(large, "known.mp4", ChecksumAlgorithm="SHA256"))
    proxy.num_bytes = 0
    assert film_file.sha256(known) == digest
    assert proxy.num_bytes < 1000
    assert capsys.readouterr().err == ""
    put(small, "plain.mp4")
    film_file.check(streamed)
    assert workspace.hash_film(tmp_path, streamed) == film_file.sha256(small)


@pytest.mark.parametrize("ignored", [(), ("if-match",)])
def test_a_film_that_is_replaced_meanwhile_is_refused(proxy, project, large, small, ignored):
    put(large, ChecksumAlgorithm="SHA256")
    proxy.ignored = ignored

    def replace(number, method, path):
        if number == 12:
            put_directly(proxy, small.read_bytes())

    proxy.plan = replace
    done = bunny(project, "run", ADDRESS, "--until", "extract")
    check_refused(done, f"{ADDRESS}: the film was replaced while it was being read; run it again")
    done = bunny(project, "run", ADDRESS, "--until", "extract")
    assert done.returncode == 0, done.stderr


def put_directly(proxy, data):
    client = boto3.client("s3", endpoint_url=f"http://{proxy.server}")
    client.put_object(Bucket=BUCKET, Key=KEY, Body=data)
    client.close()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://films/no.mp4", "s3://films/no.mp4: expected a film, found no such object"),
        ("s3://no-such-bucket/a.mp4", "s3://no-such-bucket/a.mp4: there is no such bucket"),
        ("s3://films/in/", "s3://films/in/: expected a film at s3://bucket/key, found a folder"),
        ("s3://films", "expected a film at s3://bucket/key, found a folder"),
        ("s3://", "found no bucket"),
        ("s3://a%20b/a.mp4", "expected a bucket name"),
        ("s3://films/empty.mp4", "expected a film, found an object of 0 bytes"),
        ("s3://films/text.mp4", "expected a film, found a text"),
        ("s3://films/noise.mp4", "copy it to this machine, or convert it"),
        ("s3://films/list.m3u8", "s3://films/list.m3u8: expected a film"),
        ("s3://films/cut.mp4", "an MP4 file without its index (moov atom)"),
    ],
)
def test_what_is_no_film_is_one_sentence(s3, project, small, address, says):
    put(b"", "empty.mp4")
    put(b"words and words\n" * 50, "text.mp4")
    put(random.Random(2).randbytes(200_000), "noise.mp4")
    put(small.read_bytes()[: small.stat().st_size // 2], "cut.mp4")
    shutil.copy(small, project / "part.ts")
    put(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\npart.ts\n#EXT-X-ENDLIST\n", "list.m3u8")
    check_refused(bunny(project, "run", address, "--until", "extract"), says)


def test_no_rights_no_server_and_no_credentials_are_one_sentence(
    proxy, project, small, monkeypatch
):
    put(small)
    proxy.plan = lambda number, method, path: "403"
    check_refused(bunny(project, "run", ADDRESS), f"{ADDRESS}: access was denied")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    check_refused(bunny(project, "run", ADDRESS), "AWS_ENDPOINT_URL: expected an address")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    check_refused(bunny(project, "run", ADDRESS), f"{ADDRESS}: no answer from the server")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(project / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(project / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    check_refused(bunny(project, "run", ADDRESS), f"{ADDRESS}: expected credentials")


def test_an_answer_that_never_comes_whole_ends_after_some_tries(proxy, large):
    film = film_file.locate(put(large))
    info = probe.probe(film)
    film_file.opened.clear()
    proxy.plan = lambda number, method, path: "torn" if number > 1 else None
    proxy.count = 0
    with pytest.raises(BunnyError, match="no answer from the server"):
        probe.probe(info.path)
    assert proxy.count < 20


def test_batch_and_lists_take_addresses(s3, project, small):
    address, other = put(small), put(encode(project / "b.mp4", 1, seed=4), "in/b.mp4")
    (project / "films.csv").write_text(f"film,until\n{other},extract\n", encoding="utf-8")
    done = bunny(project, "batch", address, "--list", "films.csv", "--until", "extract", "--json")
    assert done.returncode == 0, done.stderr
    [file] = project.rglob("batch_film.parquet")
    rows = pl.read_parquet(file).sort("film")
    assert rows["film"].to_list() == [address, other]
    assert rows["status"].to_list() == ["done", "done"]
    assert rows["duration_s"].to_list() == [2.0, 1.0]
    twice = bunny(project, "batch", address, address)
    check_refused(twice, f"{address}: expected each film once")


def test_packed_with_its_address_and_opened_with_it(s3, project, small):
    address = put(small)
    assert bunny(project, "run", address, "--until", "extract").returncode == 0
    assert bunny(project, "pack", "-o", "a.zip").returncode == 0
    words = ("unpack", "a.zip", "--data-dir", "other", "--film")
    done = bunny(project, *words, put(encode(project / "b.mp4", 1, seed=4), "b.mp4"))
    check_refused(done, "s3://films/b.mp4: expected the film that was packed")
    done = bunny(project, *words, address)
    assert done.returncode == 0, done.stderr
    [source] = project.glob("other/output/*/source.json")
    assert json.loads(source.read_text(encoding="utf-8"))["film"] == address


def test_doctor_names_films_that_are_gone_or_replaced(s3, project, small, large, monkeypatch):
    monkeypatch.chdir(project)
    address = put(small)
    assert bunny(project, "run", address, "--until", "extract").returncode == 0
    assert check_workspace.run(None, None, repair=False).problems == ()
    put(encode(project / "b.mp4", 1, seed=4))
    [problem] = check_workspace.run(None, None, repair=False).problems
    assert problem.what == "the film a.mp4 has been replaced by another"
    client = boto3.client("s3")
    client.delete_object(Bucket=BUCKET, Key=KEY)
    client.close()
    [problem] = check_workspace.run(None, None, repair=False).problems
    assert problem.what == "the film a.mp4 has been moved or deleted"
    check_refused(bunny(project, "run", "a", "--until", "detect"), "found no such object")


def test_ctrl_c_is_never_taken_for_the_end_of_the_film(s3, large):
    """Whenever it comes, all packets are read, or `KeyboardInterrupt` is raised."""
    film = film_file.locate(put(large))
    with film_file.open_container(film) as container:
        num_packets = sum(1 for _ in container.demux(video=0))
    rng = random.Random(5)
    num_stopped = 0
    for _ in range(25):
        count, is_over = 0, threading.Event()
        timer = threading.Timer(rng.uniform(0, 0.15), interrupt, [is_over])
        try:
            with film_file.open_container(film) as container:
                timer.start()
                for _ in container.demux(video=0):
                    count += 1
            is_over.set()
            timer.join()
        except KeyboardInterrupt:
            num_stopped += 1
            continue
        assert count == num_packets
    assert num_stopped


def interrupt(is_over):
    import _thread

    if not is_over.is_set():
        _thread.interrupt_main()


def test_addresses_keep_their_text(tmp_path):
    film = film_file.locate("s3://bucket//odd key/Mein Film.v2.mp4")
    assert str(film) == "s3://bucket//odd key/Mein Film.v2.mp4"
    assert (film.name, film.stem, film.suffix) == ("Mein Film.v2.mp4", "Mein Film.v2", ".mp4")
    assert film_file.locate("in/a.mp4") == Path("in/a.mp4")
    assert film_file.stamp(tmp_path / "none.mp4") == ""
    with pytest.raises(UserError, match="found no bucket"):
        film_file.check(film_file.locate("s3:///a.mp4"))


def test_a_film_of_many_addresses_is_known_by_name_and_content(s3, project, small, monkeypatch):
    monkeypatch.chdir(project)
    first, second = put(small), put(small, "elsewhere/a.mp4")
    for address in (first, second):
        done = bunny(project, "run", address, "--until", "extract")
        assert done.returncode == 0, done.stderr
    [space] = workspace.find(project, "data")
    assert space.source()["film"] == second
