"""``themewatch score`` from end to end, in this process, with the tiny model."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
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


def test_columns_of_different_types_find_a_common_one(model: list[object], tmp_path: Path) -> None:
    from datetime import date, datetime

    tables = [
        {"text": ["police"], "a": pa.array([1], pa.int8()), "b": [2**60], "c": [date(2024, 1, 2)], "e": [[1]]},
        {"text": ["city"], "a": pa.array([300], pa.int64()), "b": [0.5], "c": [datetime(2024, 1, 2)], "d": [1]},
    ]
    for number, columns in enumerate(tables):
        pq.write_table(pa.table(columns), tmp_path / f"in{number}.parquet")
    for number in range(2):  # the same columns: one chunk, though each file has notes of its own
        table = pa.table(tables[0]).replace_schema_metadata({"pandas": str(number)})
        pq.write_table(table, tmp_path / f"in3{number}.parquet")
    write_rows(tmp_path / "in4.jsonl", [{"text": "rain\0", "a": 2, "b": 3, "c": "then", "e": "x"}])
    for target in ("out.parquet", "out.csv", "out.jsonl"):
        done = score(tmp_path / "in*", "-o", tmp_path / target, *model)
        assert done.code == 0, done.told
    found = pq.read_table(tmp_path / "out.parquet")
    assert [str(found.schema.field(name).type) for name in "abcd"] == ["int64", "double", "string", "int64"]
    assert found.column("a").to_pylist() == [1, 300, 1, 1, 2]
    assert found.column("b").to_pylist() == [2.0**60, 0.5, 2.0**60, 2.0**60, 3.0]
    assert found.column("c").to_pylist()[::2] == ["2024-01-02", "2024-01-02", "then"]
    assert found.column("e").to_pylist() == ["[1]", None, "[1]", "[1]", "x"]
    assert read_rows(tmp_path / "out.csv")[4]["text"] == "rain\0"
    assert [row.get("e") for row in read_rows(tmp_path / "out.jsonl")] == [[1], None, [1], [1], "x"]


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
