"""``themewatch score`` from end to end, in this process, with the tiny model."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.main import main
from model.windows import Encoded, Windower
from tests.conftest import tiny_rows

Rows = list[dict[str, Any]]
FORMATS = ["csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.gz", "jsonl.zst", "csv.zst"]


class Done(NamedTuple):
    code: int
    told: str


def score(*args: object, stdin: bytes = b"") -> Done:
    """The command as typed: exit code and standard error."""
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["themewatch", "score", *map(str, args)])
        patch.setattr(sys, "stderr", told)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as left:
            main()
    return Done(int(left.value.code or 0), told.getvalue())


def write_rows(path: Path, rows: Rows) -> Path:
    """Rows in the format that the name tells."""
    kind = next(k for k in ("csv", "tsv", "jsonl", "parquet") if f".{k}" in path.name)
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if kind == "jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        out = io.StringIO()
        writer = csv.DictWriter(out, list(rows[0]), delimiter="\t" if kind == "tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
        text = out.getvalue()
    data = text.encode("utf-8")
    if path.suffix == ".gz":
        data = gzip.compress(data)
    if path.suffix == ".zst":
        data = zstandard.compress(data)
    path.write_bytes(data)
    return path


def read_rows(path: Path) -> Rows:
    """Rows of a scored file, themes as a list in every format."""
    if ".parquet" in path.name:
        rows: Rows = pq.read_table(path).to_pylist()
        return rows
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    text = data.decode("utf-8")
    if ".jsonl" in path.name:
        return [json.loads(line) for line in text.splitlines()]
    found: Rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if ".tsv" in path.name else ","))
    for row in found:
        row["tw_themes"] = row["tw_themes"].split("|") if row["tw_themes"] else []
    return found


def rejected(output: Path) -> Rows:
    path = Path(f"{output}.rejected.jsonl")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def articles(count: int, seed: int = 1) -> Rows:
    """Rows with columns of several types beside the text."""
    return [
        {"id": f"a{i}", "title": row["title"], "text": row["text"], "year": 2000 + i, "note": f'é,"{i}"\nü'}
        for i, row in enumerate(tiny_rows(count, seed))
    ]


@pytest.fixture
def model(tiny_artifact: Artifact) -> list[object]:
    return ["--model", tiny_artifact.folder]


@pytest.mark.parametrize("source", FORMATS)
def test_every_format_to_every_other(source: str, model: list[object], tmp_path: Path, tiny: ThemeClassifier) -> None:
    rows = articles(7)
    given = write_rows(tmp_path / f"in.{source}", rows)
    expected = tiny.predict([row["text"] for row in rows])
    for target in FORMATS if source in ("jsonl", "parquet") else [source, "jsonl"]:
        output = tmp_path / f"out.{target}"
        done = score(given, "-o", output, *model)
        assert done.code == 0, done.told
        found = read_rows(output)
        assert [row["id"] for row in found] == [row["id"] for row in rows]
        for row, before, result in zip(found, rows, expected, strict=True):
            assert {key: str(row[key]) for key in before} == {key: str(before[key]) for key in before}
            assert row["tw_themes"] == result.themes
            assert row["tw_language"] == result.language
            assert int(row["tw_windows"]) == result.windows
            for key, value in result.scores.items():
                assert float(row[f"tw_score_{key}"]) == pytest.approx(value, abs=2e-3)
                assert row[f"tw_decision_{key}"] == result.decisions[key].value
            assert row["tw_model"] == f"{result.model['name']}/{result.model['version']}"
        assert not (tmp_path / f"out.{target}.parts").exists()
        assert not (tmp_path / f"out.{target}.rejected.jsonl").exists()


def test_parquet_keeps_types_and_json_gets_them(model: list[object], tmp_path: Path) -> None:
    from datetime import date, datetime
    from decimal import Decimal

    table = pa.table(
        {
            "text": pa.array(["police in the city", "the mixer laundered coins"]).dictionary_encode(),
            "when": pa.array([datetime(2024, 1, 2, 3, 4, 5), None], pa.timestamp("ns")),
            "day": [date(2024, 1, 2), None], "cost": [Decimal("1.50"), None], "share": [float("nan"), 0.5],
            "tags": [["a", "b"], []], "blob": [b"\xff\x00", None], "small": pa.array([1, None], pa.int8()),
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "in.parquet")
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet", *model).code == 0
    kept = pq.read_table(tmp_path / "out.parquet").select(table.column_names)
    read = pq.read_table(tmp_path / "in.parquet")
    assert [str(f.type) for f in kept.schema] == [str(f.type) for f in read.schema]
    assert kept.drop_columns(["share"]).equals(read.drop_columns(["share"]))
    assert score(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl", *model).code == 0
    first, second = read_rows(tmp_path / "out.jsonl")
    assert first["when"].startswith("2024-01-02 03:04:05")
    assert (first["day"], first["cost"], first["share"], first["tags"]) == ("2024-01-02", "1.50", None, ["a", "b"])
    assert (first["blob"], first["small"], second["when"], second["small"]) == ("\\xff\x00", 1, None, None)
    rows = [
        {"text": "police", "n": 1, "x": 1, "mix": 1, "deep": {"a": [1]}, "none": None, "flag": True},
        {"text": "city", "n": 2, "x": 0.5, "mix": "one", "late": "here"},
    ]
    write_rows(tmp_path / "in.jsonl", rows)
    assert score(tmp_path / "in.jsonl", "-o", tmp_path / "out2.parquet", *model).code == 0
    found = pq.read_table(tmp_path / "out2.parquet")
    types = {name: str(found.schema.field(name).type) for name in found.column_names if not name.startswith("tw_")}
    assert types == {
        "text": "string", "n": "int64", "x": "double", "mix": "string", "deep": "string", "none": "string",
        "flag": "bool", "late": "string",
    }  # fmt: skip
    assert found.column("deep").to_pylist() == ['{"a": [1]}', None]
    assert found.column("mix").to_pylist() == ["1", "one"]


def test_files_of_different_shape_in_one_run(model: list[object], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    write_rows(folder / ".hidden" / "x.jsonl", [{"text": "never read"}])
    write_rows(folder / "a.csv", [{"text": "police", "n": "1"}])
    write_rows(folder / "b.jsonl", [{"n": 2, "text": "city", "extra": [1]}])
    write_rows(folder / "c.parquet", [{"text": "rain", "n": 3}])
    write_rows(folder / "deep" / "d.jsonl.zst", [{"text": "market"}])
    (folder / "readme.md").write_text("not a table")
    for target in ("out.csv", "out.parquet", "out.jsonl"):
        assert score(folder, "-o", folder / target, *model, "--overwrite").code == 0
        found = read_rows(folder / target)
        assert [row["text"] for row in found] == ["police", "city", "rain", "market"]
        assert [str(row.get("n") or "") for row in found] == ["1", "2", "3", ""]
        (folder / target).unlink()


def test_globs_addresses_and_standard_input(model: list[object], tmp_path: Path) -> None:
    import fsspec

    for name in ("x1", "x2"):
        write_rows(tmp_path / f"{name}.jsonl", [{"text": f"police {name}"}])
    assert score(f"{tmp_path}/x*.jsonl", "-o", tmp_path / "x.jsonl", *model).code == 0
    assert [row["text"] for row in read_rows(tmp_path / "x.jsonl")] == ["police x1", "police x2"]
    # the output lies where the glob looks: it must not become an input
    assert score(f"{tmp_path}/x*.jsonl", "-o", tmp_path / "x.jsonl", *model, "--overwrite").code == 0
    assert len(read_rows(tmp_path / "x.jsonl")) == 2
    assert score(f"file://{tmp_path}/x1.jsonl", "-o", tmp_path / "y.jsonl", *model).code == 0
    with fsspec.open("memory://score/a.jsonl.gz", "wb") as file:
        file.write(gzip.compress(b'{"text": "police"}\n'))
    with fsspec.open("memory://score/b.parquet", "wb") as file:
        pq.write_table(pa.table({"text": ["city"]}), file)
    for address in ("memory://score", "memory://score/*"):
        assert score(address, "-o", tmp_path / "z.jsonl", *model, "--overwrite").code == 0
        assert [row["text"] for row in read_rows(tmp_path / "z.jsonl")] == ["police", "city"]
    for form, data in [
        ("jsonl", b'{"text": "police"}'), ("csv.gz", gzip.compress(b"text\npolice\n")),
        ("parquet", (tmp_path / "p.parquet", write_rows(tmp_path / "p.parquet", [{"text": "police"}]))[1].read_bytes()),
    ]:  # fmt: skip
        done = score("-", "--input-format", form, "-o", tmp_path / "s.csv", *model, "--overwrite", stdin=data)
        assert done.code == 0, done.told
        assert [row["text"] for row in read_rows(tmp_path / "s.csv")] == ["police"]


def test_copies_are_scored_once(model: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = articles(20)
    given = write_rows(tmp_path / "in.jsonl", [*rows, *rows[::-1], {"text": rows[0]["text"], "title": "another"}])
    encode, seen = Windower.encode, []

    def counted(self: Windower, article: Any, language: str = "") -> Encoded:
        seen.append(article.full_text)
        return encode(self, article, language)

    monkeypatch.setattr(Windower, "encode", counted)
    done = score(given, "-o", tmp_path / "out.jsonl", *model, "--chunk", 7, "--explain")
    assert done.code == 0
    assert len(seen) == len(set(seen)) == 21
    found = read_rows(tmp_path / "out.jsonl")
    added = [{key: row[key] for key in row if key.startswith("tw_")} for row in found]
    assert added[:20] == added[39:19:-1]
    assert "20 (0 of them near copies)" in done.told


def test_near_copies(model: list[object], tmp_path: Path) -> None:
    long = " ".join(row["text"] for row in articles(6))
    other = " ".join(row["text"] for row in articles(6, seed=9))
    texts = [long, other, f"UPDATE. {long}", long, other.replace("rain", "snow", 1), "match in the city"]
    given = write_rows(tmp_path / "in.jsonl", [{"text": text} for text in texts])
    for mode, fresh in (("mark", 5), ("share", 3)):
        done = score(
            given, "-o", tmp_path / f"{mode}.jsonl", *model, "--near-duplicates", mode, "--explain", "--chunk", 2
        )
        assert done.code == 0, done.told
        found = read_rows(tmp_path / f"{mode}.jsonl")
        assert [row["tw_cluster"] for row in found] == [1, 2, 1, 1, 2, 3]
        assert f"\nTook over another row's scores: {6 - fresh}" in done.told
        for row in found:  # shared evidence points into the row's own text
            for sentences in json.loads(row["tw_evidence"]).values():
                assert all(row["text"][s["start"] : s["end"]] == s["text"] for s in sentences)


def test_evidence_thresholds_and_order_of_columns(model: list[object], tmp_path: Path, tiny: ThemeClassifier) -> None:
    keys = tiny.artifact.taxonomy.keys
    given = write_rows(tmp_path / "in.csv", [{"text": "police in the city", "z": "1", "a": "2"}])
    done = score(given, "-o", tmp_path / "out.csv", *model, "--explain", *(f"--threshold={key}=0" for key in keys))
    assert done.code == 0, done.told
    (row,) = read_rows(tmp_path / "out.csv")
    assert row["tw_themes"] == list(keys)
    assert set(json.loads(row["tw_evidence"])) <= set(keys)
    pairs = [name for key in keys for name in (f"tw_score_{key}", f"tw_decision_{key}")]
    assert list(row) == [
        "text", "z", "a", "tw_themes", *pairs, "tw_language", "tw_windows", "tw_truncated", "tw_evidence", "tw_model",
    ]  # fmt: skip
    assert row["tw_truncated"] == "false"


def test_cells_that_look_like_formulas(model: list[object], tmp_path: Path) -> None:
    cells = ["=1+1", "+49 30 123", "-2", "+1.5", "-1,5", "@me", "\tx", "\rx", "- a list", "plain", "1e5", "-3%", "'=1"]
    write_rows(tmp_path / "in.csv", [{"text": "police", "=cell": cell} for cell in cells])
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.csv", *model).code == 0
    safe = [
        "'=1+1",
        "'+49 30 123",
        "-2",
        "+1.5",
        "-1,5",
        "'@me",
        "'\tx",
        "'\rx",
        "'- a list",
        "plain",
        "1e5",
        "-3%",
        "'=1",
    ]
    assert [row["'=cell"] for row in read_rows(tmp_path / "out.csv")] == safe
    assert score(tmp_path / "in.csv", "-o", tmp_path / "out.jsonl", *model).code == 0
    assert [row["=cell"] for row in read_rows(tmp_path / "out.jsonl")] == cells


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
        ({"in.csv": b"text\nx\n"}, ["--engine", "x"], "no engine 'x'"),
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
