"""The command, as a user types it: real processes, exit codes, one-line errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model.artifact import Artifact
from tests.conftest import ROOT, tiny_rows, tiny_settings, write_jsonl

THEMED = "the mixer laundered coins and proceeds through a wallet broker."


def themewatch(*args: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("themewatch")), *map(str, args)], input=stdin, capture_output=True,
        timeout=300, env=os.environ | environment, check=False,
    )  # fmt: skip


def assert_one_line_error(done: subprocess.CompletedProcess[bytes], *expected: str) -> None:
    told = done.stderr.decode()
    assert done.returncode == 2, told
    lines = [line for line in told.splitlines() if line.startswith("themewatch: ")]
    assert len(lines) == 1, told
    assert "Traceback" not in told
    assert not done.stdout
    for text in expected:
        assert text in lines[0]


def test_help_names_every_command() -> None:
    done = themewatch("--help")
    assert done.returncode == 0
    for name in ("classify", "train", "evaluate", "demo", "data"):
        assert name in done.stdout.decode()


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from model.main import build_app; build_app()\n"
        "print([m for m in ('torch', 'transformers', 'numpy', 'sklearn', 'gradio', 'trafilatura', 'datasets')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_classify_gives_json_lines(tiny_artifact: Artifact, tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.html"
    one.write_text(THEMED, "utf-8")
    body = f"<p>{THEMED} rain in the city and market.</p>" * 4
    two.write_text(f"<html><body><nav>menu</nav><article><h1>police</h1>{body}</article></body></html>", "utf-8")
    done = themewatch("classify", one, two, "--json", "--model", tiny_artifact.folder)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert [a["id"] for a in answers] == [str(one), str(two)]
    assert answers[0]["decisions"]["crypto_laundering"] in ("match", "review")
    evidence = answers[0]["evidence"]["crypto_laundering"][0]
    assert THEMED[evidence["start"] : evidence["end"]] == evidence["text"]


def test_classify_shows_a_table_from_standard_input(tiny_artifact: Artifact) -> None:
    done = themewatch("classify", "-", "--model", tiny_artifact.folder, stdin=THEMED.encode())
    told = done.stdout.decode()
    assert done.returncode == 0
    assert "Crypto laundering" in told
    assert "Why" in told


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.txt", b"", "the text is empty"),
        ("blank.txt", b" \n\t ", "the text is empty"),
        ("binary.txt", b"\x00\x01\x02", "binary data"),
        ("latin.txt", "où".encode("latin-1"), "not UTF-8"),
        ("paper.pdf", b"%PDF-1.7", "cannot read .pdf"),
        ("empty.html", b"<html><body></body></html>", "no article found"),
    ],
)
def test_bad_files(tiny_artifact: Artifact, tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    done = themewatch("classify", path, "--model", tiny_artifact.folder)
    assert_one_line_error(done, str(path), expected)


def test_one_bad_file_does_not_cost_the_others(tiny_artifact: Artifact, tmp_path: Path) -> None:
    good = tmp_path / "good.txt"
    good.write_text(THEMED)
    done = themewatch("classify", tmp_path / "gone.txt", good, "--json", "--model", tiny_artifact.folder)
    assert done.returncode == 2
    assert json.loads(done.stdout)["id"] == str(good)
    assert b"gone.txt: cannot be read" in done.stderr


def test_bad_models(tmp_path: Path) -> None:
    done = themewatch("classify", "-", "--model", tmp_path, stdin=b"text")
    assert_one_line_error(done, "not a themewatch model", str(tmp_path))


def test_an_unwritable_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = themewatch("classify", "-", stdin=b"text", THEMEWATCH_CACHE=str(tmp_path / "file"))
    assert_one_line_error(done, "cannot write the cache", "THEMEWATCH_CACHE")


def test_data_check(tmp_path: Path) -> None:
    themes = ROOT / "configs" / "themes.yaml"
    good = write_jsonl(tmp_path / "good.jsonl", tiny_rows(20))
    assert themewatch("data", "check", good, "--themes", themes).returncode == 0
    bad = write_jsonl(tmp_path / "bad.jsonl", [{"text": "x", "themes": ["nonsense"]}])
    done = themewatch("data", "check", bad, "--themes", themes)
    assert done.returncode == 2
    assert f"{bad}:1: unknown theme 'nonsense'" in done.stdout.decode()


def test_train_and_evaluate(tiny_config: Path, tiny_artifact: Artifact, tmp_path: Path) -> None:
    held_out = write_jsonl(tmp_path / "held.jsonl", tiny_rows(30, seed=7))
    done = themewatch("evaluate", "--data", held_out, "--model", tiny_artifact.folder, "--json", "--no-baselines")
    table = json.loads(done.stdout)["model"]
    assert table["items"] == 30
    assert set(table["languages"]) == {"en", "fr"}
    assert 0 <= table["macro_f1"]["low"] <= table["macro_f1"]["value"] <= table["macro_f1"]["high"] <= 1
    done = themewatch("train", tmp_path / "none.yaml")
    assert_one_line_error(done, "none.yaml", "cannot read the configuration")


def test_wrong_settings_are_named(tiny_encoder: Path, tiny_data: Path, tmp_path: Path) -> None:
    import yaml

    path = tmp_path / "wrong.yaml"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"epochz": 3}, "setting epochz"),
        ({"optimizer": {"batch": 0}}, "setting optimizer.batch"),
        ({"backbone": "hub:x"}, "unknown backbone"),
        ({"taxonomy": "gone.yaml"}, "cannot read the taxonomy"),
    ]
    for change, expected in wrong:
        path.write_text(yaml.safe_dump(tiny_settings(tiny_encoder, tiny_data, **change)))
        assert_one_line_error(themewatch("train", path, "--out", tmp_path / "out"), expected)
        assert not (tmp_path / "out").exists()
