"""``themewatch score`` where things go wrong: bad rows, wrong commands, full disks, lost files."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.test_score import articles, model, read_rows, rejected, score, write_rows

__all__ = ["model"]


BAD_LINES: list[tuple[bytes, str]] = [
    (b'{"text": "cut of', "not JSON"),
    (b"plain words", "not JSON"),
    (b'["text"]', "not a JSON object (list)"),
    (b"null", "not a JSON object (NoneType)"),
    (b"12", "not a JSON object (int)"),
    (b'{"title": "no text"}', "no column 'text'"),
    (b'{"text": null}', "not a string (null)"),
    (b'{"text": 12}', "not a string (int)"),
    (b'{"text": ["a"]}', "not a string (list)"),
    (b'{"text": " \\n "}', "the text is empty"),
    (b'{"text": "\\u0000\\u0000"}', "the text is empty"),
    (b'{"text": "\xff\xfe latin"}', "not UTF-8 (byte 11)"),
    (b"\0\0\0", "nothing but NUL"),
    (b'{"text": "' + b"a " * 1_000_001 + b'"}', "too long"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"text": "x", "deep": ' + b"[" * 500 + b"]" * 500 + b"}", "nested too deeply"),
    (b'{"text": "x", "\\ud800": 1}', "a column's name is no Unicode text"),
    (b'{"text": "x", "tw_themes": []}', "a name that the output needs"),
    (b'{"text": ' + b"9" * 5000 + b"}", "not JSON"),
]


def test_bad_lines_cost_nothing_else(model: list[object], tmp_path: Path) -> None:
    good = [json.dumps(row).encode() for row in articles(20 * len(BAD_LINES))]
    good[0] = b'{"text": "lone \\ud800 surrogate", "other": "\\udfff"}'
    lines = [b"\xef\xbb\xbf" + good[0]]
    for at, (bad, _) in enumerate(BAD_LINES):
        lines += [*good[at * 20 + 1 : at * 20 + 20], bad, b"", b"  "]
    given, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given.write_bytes(b"\r\n".join(lines))
    done = score(given, "-o", output, *model, "--chunk", 50, "--report", tmp_path / "report.html", "--explain")
    assert done.code == 3
    found, lost = read_rows(output), rejected(output)
    assert len(found) + len(lost) == sum(bool(line.strip()) for line in lines)
    assert len(lost) == len(BAD_LINES)
    assert found[0]["text"] == "lone \ud800 surrogate"
    for item, (bad, reason) in zip(lost, BAD_LINES, strict=True):
        assert reason in item["reason"], item["reason"]
        assert item["file"] == str(given)
        assert lines[item["line"] - 1] == bad
        assert item["raw"] == bad.decode("utf-8", "backslashreplace")
    assert f"{len(BAD_LINES)} (in {output}.rejected.jsonl)" in " ".join(done.told.split())
    for target in ("out.csv", "out.parquet"):  # what no UTF-8 file can hold is written as an escape
        assert score(given, "-o", tmp_path / target, *model).code == 3
        assert read_rows(tmp_path / target)[0]["text"] == "lone \\ud800 surrogate"


BAD_ROWS: list[tuple[bytes, str]] = [
    (b"1,few", "wrong number of columns (2 instead of 3)"),
    (b"1,many,x,y", "wrong number of columns (4 instead of 3)"),
    (b'1,"never closed,x', "not CSV"),
    (b'1,"closed" too early,x', "not CSV"),
    (b"1,a\rb,x", "not CSV"),
    (b"1,caf\xe9,x", "not UTF-8 (byte 6)"),
    (b"1,,x", "the text is empty"),
    (b'1,"  ",x', "the text is empty"),
    (b"1,\0\0,x", "the text is empty"),
    (b"\0\0", "nothing but NUL"),
    (b",,", "the text is empty"),
    (b"1," + b"word " * 400_001 + b",x", "too long"),
    (b'1,"', "not CSV"),
]


def test_bad_csv_rows_cost_nothing_else(model: list[object], tmp_path: Path) -> None:
    good = [f'{i},"{row["text"]}\nsecond ""line"", {i}",x'.encode() for i, row in enumerate(articles(260))]
    lines = [b"id,text,x"]
    for at, (bad, _) in enumerate(BAD_ROWS):
        lines += [*good[at * 20 : at * 20 + 19], bad, b""]
    given, output = tmp_path / "in.csv", tmp_path / "out.csv"
    given.write_bytes(b"\n".join(lines))
    done = score(given, "-o", output, *model)
    assert done.code == 3, done.told
    found, lost = read_rows(output), rejected(output)
    assert [item["raw"] for item in lost] == [
        bad.decode("utf-8", "backslashreplace").rstrip("\r") for bad, _ in BAD_ROWS
    ]
    assert all(reason in item["reason"] for item, (_, reason) in zip(lost, BAD_ROWS, strict=True)), lost
    assert len(found) == 19 * len(BAD_ROWS)
    assert all("\nsecond " in row["text"] for row in found)


def test_bad_parquet_rows(model: list[object], tmp_path: Path) -> None:
    raw = pa.array([b"police", b"\xff\xfe", b"", None, b"city"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 5, raw.buffers())
    pq.write_table(pa.table({"text": text, "n": [1, 2, 3, 4, 5]}), tmp_path / "in.parquet")
    output = tmp_path / "out.parquet"
    assert score(tmp_path / "in.parquet", "-o", output, *model).code == 3
    assert [row["n"] for row in read_rows(output)] == [1, 5]
    lost = rejected(output)
    assert [(item["line"], json.loads(item["raw"])["n"]) for item in lost] == [(2, 2), (3, 3), (4, 4)]
    assert [item["reason"] for item in lost] == ["not UTF-8", "the text is empty", "the text is not a string (null)"]
    assert json.loads(lost[0]["raw"])["text"] == "\\xff\\xfe"


def test_nothing_but_bad_rows(model: list[object], tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("nonsense\n")
    (tmp_path / "empty.jsonl").write_text("")
    for target in ("out.csv", "out.jsonl", "out.parquet"):
        output = tmp_path / target
        assert score(tmp_path / "in.jsonl", "-o", output, *model).code == 3
        assert read_rows(output) == []
        assert score(tmp_path / "empty.jsonl", "-o", output, *model, "--overwrite").code == 0
        assert not rejected(output)


@pytest.mark.parametrize(
    ("content", "args", "expected"),
    [
        ({"in.csv": b"id,words\n1,x\n"}, [], "no column 'text' (there are: id, words); give --text-column"),
        ({"in.csv": b"text,text\nx,y\n"}, [], "column 'text' stands twice"),
        ({"in.csv": b"text,tw_themes\nx,y\n"}, [], "column 'tw_themes' has a name that the output needs"),
        ({"in.csv": b"text\nx\n"}, ["--title-column", "head"], "no column 'head'"),
        ({"in.csv": b"t\xe9xt\nx\n"}, [], "no column 'text'"),
        ({"in.csv": b"text,t\xe9xt\nx,y\n"}, [], "the header is not UTF-8"),
        ({"in.jsonl": b'{"text": "x", "tw_model": 1}\n'}, [], "in.jsonl:1: column 'tw_model'"),
        ({"in.jsonl": "{}".encode("utf-16")}, [], "holds UTF-16 text"),
        ({"in.jsonl": gzip.compress(b"{}")}, [], "holds gzip data"),
        ({"in.csv": b"PK\x03\x04"}, [], "spreadsheet"),
        ({"in.jsonl.gz": gzip.compress(os.urandom(5000))[:3000]}, [], "in.jsonl.gz: cannot be read"),
        ({"in.jsonl.zst": zstandard.compress(os.urandom(5000))[:3000]}, [], "in.jsonl.zst: cannot be read"),
        ({"in.jsonl.gz": b"plain"}, [], "cannot be read"),
        ({"in.parquet": b"PAR1 nonsense"}, [], "in.parquet: cannot be read"),
        ({"in.txt": b"x"}, [], "its name tells no format; give --input-format"),
        ({}, [], "no such file"),
        ({"in.csv": b"text\nx\n"}, ["--threshold", "nonsense=0.5"], "no theme 'nonsense'"),
        ({"in.csv": b"text\nx\n"}, ["--threshold", "x=7"], "P from 0 to 1"),
        ({"in.csv": b"text\nx\n"}, ["--near-duplicates", "x"], "use mark or share"),
        ({"in.csv": b"text\nx\n"}, ["--model-engine", "x"], "no engine 'x'"),
        ({"in.csv": b"text\nx\n"}, ["--engine", "torch"], "what runs the model is --model-engine"),
        ({"in.csv": b"text\nx\n"}, ["--ray-address", "auto"], "needs --engine ray"),
        ({"in.csv": b"text\nx\n"}, ["--format", "xml"], "no format 'xml'"),
        ({"in.csv": b"text\nx\n"}, ["--input-format", "xml"], "no format 'xml'"),
        ({"in.csv": b"text\nx\n", "out.csv": b"old"}, [], "exists already"),
        ({"in.csv": b"text\nx\n", "out.csv.rejected.jsonl": b"old"}, [], "exists already"),
    ],
)  # fmt: skip
def test_errors_in_one_line(
    content: dict[str, bytes], args: list[str], expected: str, model: list[object], tmp_path: Path
) -> None:
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    given = next(iter(content), "gone.csv")
    done = score(tmp_path / given, "-o", tmp_path / "out.csv", *args, *model)
    assert done.code == 2, done.told
    told = [line for line in done.told.splitlines() if line.startswith("themewatch: ")]
    assert len(told) == 1, done.told
    assert expected in told[0]
    assert not (tmp_path / "out.csv").exists() or (tmp_path / "out.csv").read_bytes() == b"old"


def test_more_wrong_ways(model: list[object], tmp_path: Path) -> None:
    given = write_rows(tmp_path / "in.jsonl", [{"text": "x"}])
    for args, expected in [
        ([given, "-o", given], "is an input and an output"),
        ([given, given, "-o", tmp_path / "o.csv"], "named twice"),
        ([given, "-o", tmp_path / "no" / "o.csv"], "no such folder"),
        ([given, "-o", tmp_path / "o.csv", "--report", tmp_path / "no" / "r.html"], "no such folder"),
        ([given, "-o", tmp_path / "o.csv", "--report", tmp_path / "o.csv"], "output and report at once"),
        ([given, "-o", tmp_path], "tells no output format"),
        ([given, "-o", tmp_path, "--format", "csv"], "is a folder"),
        ([given, "-o", "s3://bucket/o.csv"], "only a local file"),
        ([given, "-o", tmp_path / "o.parquet.gz"], "Parquet compresses itself"),
        (["-", "-o", tmp_path / "o.csv"], "give --input-format"),
        (["nonsense://x/y.csv", "-o", tmp_path / "o.csv"], "cannot be reached"),
        (["memory://gone/y.csv", "-o", tmp_path / "o.csv"], "nothing there"),
        ([f"{tmp_path}/*.xyz", "-o", tmp_path / "o.csv"], "no file to score there"),
        ([tmp_path / "gone", "-o", tmp_path / "o.csv"], "no such file"),
    ]:
        done = score(*args, *model)
        assert done.code == 2, done.told
        assert expected in done.told
        assert len(done.told.splitlines()) == 1


def test_the_report_is_one_safe_page(model: list[object], tmp_path: Path) -> None:
    name = tmp_path / "<script>alert(1)<&'\".jsonl"
    write_rows(name, [*articles(9), {"text": "</svg><script>"}])
    with name.open("ab") as file:
        file.write(b"nonsense\n")
    page = tmp_path / "report.html"
    assert score(name, "-o", tmp_path / "out.jsonl", "--report", page, *model).code == 3
    text = page.read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;&amp;&#x27;&quot;.jsonl" in text
    assert not re.findall(r"(?:src|href)=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert "Themes in 10 articles" in text
    assert text.count("<svg") == 3
    done = score(name, "-o", tmp_path / "out2.jsonl", "--report", page, *model)
    assert done.code == 2
    assert "report.html: exists already" in done.told


def failing(after: int, error: OSError) -> Callable[[int], None]:
    """``os.fsync`` on a disk that is full after so many calls."""
    calls = iter(range(10**9))
    real = os.fsync

    def fsync(handle: int) -> None:
        if next(calls) >= after:
            raise error
        real(handle)

    return fsync


@pytest.mark.parametrize("after", [0, 3, 9, 12])
def test_a_full_disk_keeps_the_work(after: int, model: list[object], tmp_path: Path) -> None:
    given = write_rows(tmp_path / "in.jsonl", articles(20))
    output = tmp_path / "out.csv"
    command = [given, "-o", output, "--chunk", 4, *model]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serve.score.files.os.fsync", failing(after, OSError(errno.ENOSPC, "No space left on device")))
        done = score(*command)
    assert done.code == 2
    assert len(done.told.splitlines()) == 1, done.told
    assert "No space left on device" in done.told
    assert "--resume" in done.told
    assert not output.exists()
    assert score(*command, "--resume").code == 0
    assert score(given, "-o", tmp_path / "plain.csv", "--chunk", 4, *model).code == 0
    assert output.read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_a_lost_network_file_keeps_the_work(
    model: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec
    from fsspec.implementations.memory import MemoryFile

    lines = "".join(json.dumps(row) + "\n" for row in articles(2000))
    with fsspec.open("memory://lost/in.jsonl", "wb") as file:
        file.write(lines.encode())
    command = ["memory://lost/in.jsonl", "-o", tmp_path / "out.jsonl", "--chunk", 100, *model]
    read = MemoryFile.read

    def lost(self: MemoryFile, size: int = -1) -> bytes:
        if self.tell() > len(lines) // 2 and size == 1 << 16 and (tmp_path / "out.jsonl.parts").exists():
            raise RuntimeError("connection reset")  # network libraries raise what they like
        data: bytes = read(self, size)
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryFile, "read", lost)
        done = score(*command)
    assert done.code == 2
    assert "memory://lost/in.jsonl: cannot be read: connection reset" in done.told
    assert len(list((tmp_path / "out.jsonl.parts").glob("part-*.arrow"))) > 2
    assert score(*command, "--resume").code == 0
    assert len(read_rows(tmp_path / "out.jsonl")) == 2000
