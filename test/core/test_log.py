"""Logs: JSON lines for machines, no secret in them."""

import json
import logging

from bunny.core import log


def test_each_line_of_the_file_is_a_json_object_with_its_fields(tmp_path):
    path = log.configure(tmp_path)
    logging.getLogger("bunny.some").info("stage %s: %d rows", "extract", 3, extra={"seconds": 1.5})
    log.configure(None)
    (line,) = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    assert (line["name"], line["message"], line["seconds"]) == (
        "bunny.some",
        "stage extract: 3 rows",
        1.5,
    )


def test_secret_values_are_replaced_by_their_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    path = log.configure(tmp_path)
    logging.getLogger("bunny.some").warning("answer 401 for key %s", "sk-very-secret")
    log.configure(None)
    for text in (path.read_text(encoding="utf-8"), capsys.readouterr().err):
        assert "<OPENAI_API_KEY>" in text
        assert "sk-very-secret" not in text


def test_short_values_do_not_blot_out_words(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "a")
    assert log.redact("a film") == "a film"


def test_lines_name_what_is_worked_on_and_secrets_in_names_are_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    path = log.configure(tmp_path)
    logger = logging.getLogger("bunny.some")
    with log.context(film="meadow", stage="detect"):
        with log.context(item="f1-sk-very-secret", shard=3):
            logger.info("one")
        logger.info("two", extra={"stage": "filter"})
    logger.info("three")
    log.configure(None)
    fields = ("film", "stage", "shard", "item")
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    assert [[line.get(field) for field in fields] for line in lines] == [
        ["meadow", "detect", 3, "f1-<OPENAI_API_KEY>"],
        ["meadow", "filter", None, None],
        [None, None, None, None],
    ]
