"""``themewatch score --engine ray``: its pieces in this process, and (slow) real clusters on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.artifact import Artifact
from model.errors import InputError, ThemewatchError
from serve.score.inputs import Input, expand
from serve.score.layout import Layout
from serve.score.ray_cluster import _shape
from serve.score.ray_worker import Gauge, Job, ShardScorer
from serve.score.rows import Columns, Row
from serve.score.scorer import ModelChoice
from serve.score.shards import plan_shards
from serve.score.sources import read_rows as read_source
from serve.score.store import Store, shard_name
from tests.conftest import tiny_rows
from tests.test_score import articles, model, rejected, score, write_rows

__all__ = ["model"]
THEMEWATCH = str(Path(sys.executable).with_name("themewatch"))
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (extra [ray])")
ROUNDING = 1.01e-4  # scores have four digits; an article's batch, which differs, may turn the last one


def parquet_input(folder: Path, count: int) -> list[Path]:
    """Two files with row groups of odd sizes, an empty one, copies, and rows that cannot be scored."""
    rows: list[dict[str, Any]] = [
        {"id": row["id"], "text": row["text"], "n": i} for i, row in enumerate(tiny_rows(count, 5))
    ]
    for at in range(9, count, 20):  # one row in twenty
        rows[at]["text"] = (None, "", " \n ")[at % 3]
    rows[count // 2]["text"] = rows[1]["text"] = rows[0]["text"]
    cut = count * 2 // 3
    paths = [folder / name for name in ("a.parquet", "b.parquet", "c.parquet")]
    pq.write_table(pa.Table.from_pylist(rows[:cut]), paths[0], row_group_size=37)
    pq.write_table(pa.Table.from_pylist(rows[:1]).slice(0, 0), paths[1])
    pq.write_table(pa.Table.from_pylist(rows[cut:]), paths[2])
    return paths


def same_as_local(folder: Path, local: Path) -> None:
    """The shards' rows are the local engine's, in their order, none lost and none twice; so are the rejected ones."""
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("_"))
    assert names == [shard_name(number) for number in range(len(names))]
    mine, theirs = pq.read_table(folder), pq.read_table(local)
    assert mine.schema.equals(theirs.schema)
    assert mine.column("n").to_pylist() == theirs.column("n").to_pylist()
    for name in theirs.column_names:
        one, other = mine.column(name).to_pylist(), theirs.column(name).to_pylist()
        if name.startswith("tw_score_"):
            assert np.abs(np.subtract(one, other)).max(initial=0.0) <= ROUNDING
        else:
            assert one == other, name
    assert rejected(folder) == rejected(local)
    assert [path.name for path in (folder / "_themewatch").glob("part-*")] == []


def test_rows_of_a_span(tmp_path: Path) -> None:
    paths = parquet_input(tmp_path, 200)
    (item,) = expand([str(paths[0])], "", [])
    whole = list(read_source(item, Columns()))
    for first, stop in [(0, 5), (36, 38), (37, 74), (40, 133), (130, 133), (0, 133), (64, 65), (7, 7)]:
        span = Input(item.name, item.path, item.format, item.fs, (first, stop))
        found = list(read_source(span, Columns()))
        assert [row.line for row in found] == list(range(first + 1, stop + 1))
        assert [getattr(row, "text", None) for row in found] == [getattr(r, "text", None) for r in whole[first:stop]]
        assert all(row.batch["n"][row.index].as_py() == row.line - 1 for row in found if isinstance(row, Row))


def test_shards_cover_every_row_once(tmp_path: Path) -> None:
    inputs = expand([str(path) for path in parquet_input(tmp_path, 200)], "", [])
    plan = plan_shards(inputs, Columns(), 50)
    assert [(s.number, s.file, s.first, s.stop) for s in plan.shards] == [
        (0, 0, 0, 50), (1, 0, 50, 100), (2, 0, 100, 133), (3, 2, 0, 50), (4, 2, 50, 67),
    ]  # fmt: skip
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert plan.size == sum(sizes) - (tmp_path / "b.parquet").stat().st_size
    empty = plan_shards(inputs[1:2], Columns(), 50)
    assert [(s.first, s.stop) for s in empty.shards] == [(0, 0)]
    assert empty.schema.names == ["id", "text", "n"]


@pytest.mark.parametrize(
    ("cores", "wanted", "expected"),
    [
        ([2], None, (2, 1, 1)), ([8, 8], 2, (2, 8, 2)), ([8, 8], 3, (3, 4, 2)), ([0, 4], None, (4, 1, 1)),
        ([2], 5, (5, 1, 1)), ([16, 4], 5, (5, 4, 2)),
    ],
)  # fmt: skip
def test_cores_of_a_worker(cores: list[int], wanted: int | None, expected: tuple[int, int, int]) -> None:
    shape = _shape(cores, wanted)
    assert (shape.workers, shape.threads, shape.machines) == expected


def test_a_cluster_without_cores() -> None:
    with pytest.raises(InputError, match="no cores"):
        _shape([0], None)


def job(artifact: Artifact, inputs: list[Input], store: Store, heard: Gauge, most: int) -> tuple[Job, dict[str, Any]]:
    """What a worker is told, and all shards as one batch."""
    plan = plan_shards(inputs, Columns(), most)
    gauge = SimpleNamespace(add=SimpleNamespace(remote=heard.add))
    layout = Layout(artifact.taxonomy.keys, f"{artifact.name}/{artifact.version}", explain=True)
    choice = ModelChoice(str(artifact.folder), explain=True)
    told = Job(
        tuple(inputs), Columns(), plan.schema, choice, layout, store, 16, 1, artifact.digest, "0.1.0", gauge
    )  # fmt: skip
    batch = {name: np.array([getattr(s, name) for s in plan.shards]) for name in ("number", "file", "first", "stop")}
    return told, batch


@pytest.mark.parametrize("where", ["folder", "memory"])
def test_a_worker_gives_the_rows_of_the_local_engine(where: str, tiny_artifact: Artifact, tmp_path: Path) -> None:
    paths = parquet_input(tmp_path, 120)
    local = tmp_path / "local.parquet"
    assert score(*paths, "-o", local, "--explain", "--model", tiny_artifact.folder).code == 3
    address = str(tmp_path / "out") if where == "folder" else f"memory://out{uuid4().hex}"
    store, heard = Store(address), Gauge()
    told, batch = job(tiny_artifact, expand([str(path) for path in paths], "", []), store, heard, 50)
    assert not store.finished_before(False, False)
    with store.begin({"options": {}, "inputs": []}, False):
        worker = ShardScorer(told)
        receipts = [json.loads(text) for text in worker(batch)["receipt"]]
        assert [receipt["number"] for receipt in receipts] == [0, 1, 2]
        assert sum(receipt["counts"]["rows"] for receipt in receipts) == 114
        assert heard.take()[0] == pytest.approx(113)  # one exact copy in the same shard
        again = [json.loads(text) for text in ShardScorer(told)(batch)["receipt"]]
        assert again == receipts
        assert heard.take() == (0.0, 0)  # nothing was scored again
        lines = [line for number in range(3) for line in (store.receipt(number) or {})["rejected"]]
        assert lines == Path(f"{local}.rejected.jsonl").read_text("utf-8").splitlines()
    if where == "memory":
        return
    store.finish({})
    (tmp_path / "out.rejected.jsonl").write_text("".join(f"{line}\n" for line in lines))
    same_as_local(tmp_path / "out", local)


def test_a_worker_tells_of_errors(tiny_artifact: Artifact, tmp_path: Path) -> None:
    from dataclasses import replace

    paths = parquet_input(tmp_path, 40)
    store = Store(str(tmp_path / "out"))
    told, batch = job(tiny_artifact, expand([str(paths[0])], "", []), store, Gauge(), 50)
    with store.begin({"options": {}, "inputs": []}, False):
        for change, expected in [
            ({"version": "0.0.9"}, "install the same"),
            ({"digest": "0"}, "another model"),
            ({"choice": ModelChoice(str(tmp_path / "gone"))}, "gone"),
            ({"inputs": (replace(told.inputs[0], path=str(tmp_path / "lost.parquet")),)}, "cannot be read"),
        ]:
            (text,) = ShardScorer(replace(told, **change))(batch)["receipt"]  # type: ignore[arg-type]
            assert expected in json.loads(text)["error"]
    assert store.receipt(0) is None


def test_the_folder_of_a_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    facts = {"options": {"chunk": 1}, "inputs": [{"name": "a"}]}
    assert not Store(str(out)).finished_before(False, False)
    store = Store(str(out))
    with store.begin(facts, False), store.writing_shard(0) as file:
        file.write(b"rows")
        with pytest.raises(InputError, match="another run"), Store(str(out)).begin(facts, True):
            pass
    store.write_receipt(0, {"counts": {}})
    with pytest.raises(InputError, match="unfinished"):
        store.finished_before(False, False)
    assert not store.finished_before(True, False)
    with pytest.raises(InputError, match="--chunk is not that"):
        Store(str(out)).begin({**facts, "options": {"chunk": 2}}, True).__enter__()
    with store.begin(facts, True):
        assert store.receipt(0) == {"counts": {}}
    (out / "_themewatch" / "part-00000000.json").write_text("{")  # a piece of a receipt is none
    assert store.receipt(0) is None
    store.finish({"rows": 1})
    assert store.finished_before(True, False)
    with pytest.raises(InputError, match="exists already"):
        store.finished_before(False, False)
    assert not store.finished_before(False, True)
    with store.begin(facts, False):
        assert sorted(path.name for path in out.iterdir()) == ["_themewatch"]
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files, such as mine\.txt"):
        store.finished_before(False, True)
    with pytest.raises(InputError, match="is a file"):
        Store(str(out / "mine.txt")).finished_before(False, True)
    with pytest.raises(InputError, match="cannot be reached"):
        Store("nonsense://x/y")
    with pytest.raises(ThemewatchError, match=r"cannot be written.*--resume"), store.writing_shard(1):
        raise OSError(28, "No space left on device")
    assert not (out / shard_name(1)).exists()


@needs_ray
def test_what_ray_cannot_do_is_told(model: list[object], tmp_path: Path) -> None:
    table = parquet_input(tmp_path, 40)[0]
    lines = write_rows(tmp_path / "in.jsonl", articles(2))
    (tmp_path / "out").mkdir()
    inside = tmp_path / "out" / "part-00000000.parquet"
    inside.write_bytes(table.read_bytes())
    for args, expected in [
        ([lines, "-o", tmp_path / "o"], "is no Parquet file"),
        (["-", "--input-format", "parquet", "-o", tmp_path / "o"], "is no Parquet file"),
        ([table, "-o", tmp_path / "o", "--format", "csv"], "writes Parquet alone"),
        ([table, "-o", tmp_path / "o", "--near-duplicates", "mark"], "use --engine local"),
        ([table, "-o", tmp_path / "out"], "exists already"),
        ([inside, "-o", tmp_path / "out"], "lies in the output folder"),
        ([table, "-o", tmp_path / "o", "--text-column", "x"], "no column 'x'"),
        ([table, "-o", tmp_path / "o", "--threshold", "x=0.5"], "no theme 'x'"),
    ]:
        done = score(*args, "--engine", "ray", *model)
        assert done.code == 2
        assert expected in done.told
        assert len(done.told.splitlines()) == 1
    assert not (tmp_path / "o").exists()


def started(*args: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([THEMEWATCH, "score", *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def receipts(folder: Path) -> int:
    return len(list(folder.glob("_themewatch/part-*.json")))


def wait_for(folder: Path, process: subprocess.Popen[bytes], count: int) -> None:
    deadline = time.monotonic() + 180
    while receipts(folder) < count:
        assert process.poll() is None, "finished too early"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@needs_ray
@pytest.mark.slow
def test_a_local_cluster_killed_and_resumed(tiny_artifact: Artifact, tmp_path: Path) -> None:
    paths = parquet_input(tmp_path, 3000)
    local, out, page = tmp_path / "local.parquet", tmp_path / "out", tmp_path / "report.html"
    common = [*paths, "--explain", "--model", tiny_artifact.folder]
    assert score(*common, "-o", local).code == 3
    options = [*common, "-o", out, "--engine", "ray", "--shard", 25, "--chunk", 16, "--report", page]
    process = started(*options)
    wait_for(out, process, 10)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = receipts(out)
    assert 10 <= done < 121
    kept = {path.name: path.stat().st_mtime_ns for path in (out / "_themewatch").glob("part-*.json")}
    process = started(*options, "--resume")
    _, told = process.communicate(timeout=300)
    assert process.returncode == 3, told
    assert b"Rejected rows: 150" in told
    same_as_local(out, local)
    shards = {f"{Path(name).stem}.parquet": at for name, at in kept.items()}
    assert all((out / name).stat().st_mtime_ns <= at for name, at in shards.items())  # none was written again
    assert "Themes in 2,850 articles" in page.read_text("utf-8")
    process = started(*options, "--resume")
    _, told = process.communicate(timeout=60)
    assert (process.returncode, b"nothing to resume" in told) == (3, True)


@pytest.fixture
def two_nodes() -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine, and the second of them."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        second = cluster.add_node(**small)
        cluster.wait_for_nodes()
        yield SimpleNamespace(cluster=cluster, second=second, address=cluster.address)
    finally:
        cluster.shutdown()


@needs_ray
@pytest.mark.slow
def test_a_node_lost_on_the_way(tiny_artifact: Artifact, tmp_path: Path, two_nodes: Any) -> None:
    paths = parquet_input(tmp_path, 5000)
    local, out = tmp_path / "local.parquet", tmp_path / "out"
    common = [*paths, "--explain", "--model", tiny_artifact.folder]
    assert score(*common, "-o", local).code == 3
    process = started(
        *common, "-o", out, "--engine", "ray", "--ray-address", two_nodes.address, "--shard", 10, "--chunk", 8
    )
    wait_for(out, process, 40)
    two_nodes.cluster.remove_node(two_nodes.second, allow_graceful=False)  # its processes are killed
    assert process.poll() is None
    done = receipts(out)
    assert 40 <= done < 500
    _, told = process.communicate(timeout=300)
    assert process.returncode == 3, told
    assert b"2 workers on 2 machines" in told
    assert b"Articles: 4,750" in told
    assert b"Rejected rows: 250" in told
    same_as_local(out, local)


@needs_ray
@pytest.mark.slow
def test_no_cluster_answers(tiny_artifact: Artifact, tmp_path: Path) -> None:
    (path, *_) = parquet_input(tmp_path, 40)
    options = ["--engine", "ray", "--ray-address", "127.0.0.1:1", "--model", tiny_artifact.folder]
    process = started(path, "-o", tmp_path / "out", *options)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 2, told
    assert b"no Ray cluster answers" in told
