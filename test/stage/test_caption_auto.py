"""Stage caption with `captioning.providers: [auto]` and a real server on loopback."""

import caption_film

from bunny.caption import local_captioner


def test_the_captioner_that_auto_finds_writes_the_captions(tmp_path, monkeypatch):
    folder = caption_film.write(tmp_path)
    with caption_film.service.serve(lambda n: caption_film.service.Reply()) as server:
        port = int(server.url.rpartition(":")[2])
        monkeypatch.setattr(local_captioner, "OLLAMA_PORT", port)
        monkeypatch.setattr(local_captioner, "VLLM_PORT", port)
        result = caption_film.stage(folder, providers=["auto"]).execute()
        assert (result.rows, result.failed) == (3, 0)
        assert {body["model"] for _, _, body in server.requests} == {"seer-vl"}
    assert result.note.startswith(
        f"captions by seer-vl at 127.0.0.1:{port} (local, found on this machine)"
    )
    one = caption_film.captions(folder)[0]
    assert (one["provider"], one["model"]) == ("local", "seer-vl")
    # The server is stopped now: the captions stay, and count as up to date.
    assert caption_film.stage(folder, providers=["auto"]).can_resume()


def test_without_a_captioner_auto_composes_from_the_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(local_captioner, "OLLAMA_PORT", 9)
    monkeypatch.setattr(local_captioner, "VLLM_PORT", 9)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = caption_film.write(tmp_path)
    result = caption_film.stage(folder, providers=["auto"]).execute()
    assert "no captioner found on this machine" in result.note
    assert {row["provider"] for row in caption_film.captions(folder)} == {"tags"}
