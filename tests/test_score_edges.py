"""``themewatch score`` at its edges: files in odd places, odd values, damaged parts, disks that fill up late."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.errors import InputError, ThemewatchError
from serve.score.arrow import merged_schema
from serve.score.inputs import expand
from serve.score.journal import Workspace
from serve.score.rows import Columns, Row
from serve.score.sinks import safe_cell
from serve.score.sources import read_rows as read_source
from serve.score.store import Store
from tests.test_score import articles, model, read_rows, score, write_rows
from tests.test_score_resume import THEMEWATCH, unfinished

__all__ = ["model", "unfinished"]


def test_an_address_of_this_machine_is_a_path(model: list[object], tmp_path: Path) -> None:
    given = write_rows(tmp_path / "in.jsonl", articles(2))
    before = given.read_bytes()
    done = score(f"file://{given}", "-o", given, "--overwrite", *model)
    assert (done.code, "is an input and an output" in done.told) == (2, True)
    assert given.read_bytes() == before
    inside = tmp_path / "out" / "part-00000000.parquet"
    inside.parent.mkdir()
    write_rows(inside, [{"text": "police"}])
    with pytest.raises(InputError, match="lies in the output folder"):
        Store(str(inside.parent)).check_apart(expand([f"file://{inside}"], "", []))


def test_one_file_under_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "a.jsonl", [{"text": "police"}])
    for names in (
        ["a.jsonl", "./a.jsonl"],
        [".", str(tmp_path / "a.jsonl")],
        ["a.jsonl", f"file://{tmp_path}/a.jsonl"],
    ):
        with pytest.raises(InputError, match="named twice"):
            expand(names, "", [])


def test_what_a_run_writes_is_no_input(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", [{"text": "police"}])
    work = Workspace(tmp_path / "out.jsonl")
    work.folder.mkdir()
    (work.folder / "part-00000000.arrow").write_bytes(b"x")
    for given in (str(tmp_path), f"{tmp_path}/**"):
        found = expand([given], "jsonl", [*work.outputs, work.folder])
        assert [item.path for item in found] == [str(tmp_path / "in.jsonl")]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "in.jsonl", [{"text": "police"}])
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refused(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError):
        expand([str(tmp_path)], "", [])


def test_outputs_that_are_no_files(tmp_path: Path) -> None:
    for path in (".", "/", ""):
        with pytest.raises(InputError, match="is a folder"):
            Workspace(Path(path))
    os.mkfifo(tmp_path / "out.csv")
    with pytest.raises(InputError, match="is no ordinary file"):
        Workspace(tmp_path / "out.csv").finished_before(False, True)
    with pytest.raises(InputError, match="is a folder"):
        Workspace(tmp_path / "x.csv", tmp_path).finished_before(False, True)


def test_tables_in_a_folder_named_like_ours_stay(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "out.csv")
    work.folder.mkdir()
    mine = work.folder / "part-00000.csv"
    mine.write_text("mine")
    with work:
        work.open({"inputs": [], "options": {}}, False, True)
        work.clear()
    assert mine.read_text() == "mine"


def test_titles_read_as_text_are_not_read_twice(tmp_path: Path) -> None:
    columns = Columns(text="title")
    for path in (
        write_rows(tmp_path / "a.jsonl", [{"title": "x"}]),
        write_rows(tmp_path / "a.parquet", [{"title": "x"}]),
    ):
        (row,) = read_source(expand([str(path)], "", [])[0], columns)
        assert isinstance(row, Row)
        assert (row.text, row.title) == ("x", "")


def test_odd_numbers_leave_as_json(model: list[object], tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "police", "a": NaN, "b": [-Infinity, 1.5]}\n')
    assert score(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl", *model).code == 0

    def refuse(name: str) -> None:
        raise AssertionError(name)

    row = json.loads((tmp_path / "out.jsonl").read_text(), parse_constant=refuse)
    assert (row["a"], row["b"]) == (None, [None, 1.5])


def test_long_numbers_keep_their_digits() -> None:
    def merged(*kinds: pa.DataType) -> str:
        return str(merged_schema(pa.schema([("id", kind)]) for kind in kinds).field("id").type)

    assert merged(pa.uint64(), pa.int64()) == "string"
    assert merged(pa.uint32(), pa.int64()) == merged(pa.int8(), pa.uint8()) == "int64"
    assert merged(pa.uint8(), pa.uint64()) == "uint64"
    assert merged(pa.int8(), pa.float64()) == "double"


def test_formulas_behind_what_spreadsheets_drop() -> None:
    assert safe_cell("\ufeff=1+1") == "'\ufeff=1+1"
    assert safe_cell("\0=1+1") == "'\0=1+1"


@pytest.mark.parametrize("source", ["in.csv", "in.parquet"])
def test_tables_without_rows_keep_their_columns(source: str, model: list[object], tmp_path: Path) -> None:
    given = tmp_path / source
    if source == "in.csv":
        given.write_text("id,text\n1,\n")  # none that can be scored
    else:
        pq.write_table(pa.table({"id": pa.array([], pa.int32()), "text": pa.array([], pa.string())}), given)
    for target in ("out.csv", "out.parquet"):
        assert score(given, "-o", tmp_path / target, *model).code == (3 if source == "in.csv" else 0)
    assert (tmp_path / "out.csv").read_text().startswith("id,text,tw_themes,")
    kinds = pq.read_schema(tmp_path / "out.parquet")
    assert kinds.names[:2] == ["id", "text"]
    assert str(kinds.field("id").type) == ("string" if source == "in.csv" else "int32")


def test_a_damaged_part_is_named_and_made_again(unfinished: list[str], tmp_path: Path) -> None:
    part = tmp_path / "out.jsonl.parts" / "part-00000001.arrow"
    whole = part.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"nonsense" * 100):
        part.write_bytes(damaged)
        done = score(*unfinished, "--resume")
        assert done.code == 2
        assert "part-00000001.arrow: damaged; delete it" in done.told
    part.unlink()
    assert score(*unfinished, "--resume").code == 0
    assert len(read_rows(tmp_path / "out.jsonl")) == 80


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv.gz", "jsonl", "jsonl.zst", "parquet"])
def test_a_disk_full_at_the_end(suffix: str, model: list[object], tmp_path: Path) -> None:
    rows = [{"text": f"police {i}", "noise": os.urandom(400).hex()} for i in range(400)]
    given = write_rows(tmp_path / "in.jsonl", rows)
    output = tmp_path / f"out.{suffix}"
    options = [str(given), "-o", str(output), "--chunk", "20", *map(str, model)]
    few = write_rows(tmp_path / "few.jsonl", rows[:2])
    assert score(str(few), "-o", str(tmp_path / "few.csv"), *map(str, model)).code == 0  # builds the engine

    def small() -> None:  # no file over 100 kB: the parts fit, the output does not
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [THEMEWATCH, "score", *options], capture_output=True, preexec_fn=small, timeout=300, check=False
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert b"cannot be written: File too large; make room" in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert b"Traceback" not in done.stderr
    assert not output.exists()
    assert score(*options, "--resume").code == 0
    assert len(read_rows(output)) == 400


def test_a_receipt_that_is_gone(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    assert store.folders == [tmp_path / "out"]
    assert Store("memory://out").folders == []
    with store.begin({"options": {}, "inputs": []}, False):
        store.write_receipt(0, {"rejected": ["{}"]})
        assert store.rejected(0) == ["{}"]
        with pytest.raises(ThemewatchError, match=r"receipt is gone.*--resume"):
            store.rejected(1)
