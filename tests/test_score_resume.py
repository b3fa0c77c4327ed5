"""``themewatch score`` killed, refused and gone on with: the output is always that of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from model.artifact import Artifact
from model.text import Article
from model.windows import Encoded
from tests.conftest import ROOT
from tests.test_score import Done, articles, read_rows, rejected, score, write_rows
from tests.test_score_errors import failing

THEMEWATCH = str(Path(sys.executable).with_name("themewatch"))
PEAK = """
import resource, sys
from model.main import main
sys.argv = ["themewatch", "score", *sys.argv[1:]]
try:
    main()
except SystemExit as left:
    print(left.code or 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def mixed_input(folder: Path, count: int) -> list[Path]:
    """Two files with copies across chunks, near copies and bad rows."""
    rows = articles(count)
    rows = [row | {"text": f"{row['text']} {row['text']}"} for row in rows]
    again = [rows[i // 3] | {"id": f"again{i}"} for i in range(0, count, 3)]
    near = [row | {"text": f"update. {row['text']}"} for row in rows[::5]]
    first = write_rows(folder / "a.jsonl", [*rows, *again])
    with first.open("ab") as file:
        file.write(b"nonsense\n" * 7)
    second = write_rows(folder / "b.parquet", [{k: v for k, v in row.items() if k != "year"} for row in near])
    return [first, second]


def command(inputs: list[Path], output: Path, model: Artifact) -> list[str]:
    options = ["--chunk", "16", "--explain", "--near-duplicates", "share", "--model", str(model.folder)]
    return [*map(str, inputs), "-o", str(output), *options]


def killed(arguments: list[str], seconds: float) -> bool:
    """Run the command and kill it without warning after a while; whether it was still at work."""
    process = subprocess.Popen([THEMEWATCH, "score", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    finally:
        assert process.stderr is not None
        told = process.stderr.read()
        process.stderr.close()
    assert process.returncode == 3, told
    return False


def kill_at_random(folder: Path, model: Artifact, times: int, count: int, suffix: str) -> None:
    """Kill and resume until so many kills hit; whenever a run gets to its end, compare it and start anew."""
    inputs = mixed_input(folder, count)
    plain, output = folder / f"plain.{suffix}", folder / f"out.{suffix}"
    began = time.monotonic()
    assert not killed(command(inputs, plain, model), 600)
    whole = time.monotonic() - began
    rng = random.Random(os.urandom(8))
    kills = 0
    while kills < times:
        # most of a short run is start-up: later moments are the more interesting ones
        if killed([*command(inputs, output, model), "--resume"], whole * rng.triangular(0.1, 1.0, 0.7)):
            kills += 1
            continue
        same(output, plain)
        for path in (output, Path(f"{output}.rejected.jsonl")):
            path.unlink()
        whole *= 0.8  # the machine was busier while we took the time
    assert not killed([*command(inputs, output, model), "--resume"], 600)
    same(output, plain)


def same(output: Path, plain: Path) -> None:
    assert output.read_bytes() == plain.read_bytes()
    assert Path(f"{output}.rejected.jsonl").read_bytes() == Path(f"{plain}.rejected.jsonl").read_bytes()
    assert not Path(f"{output}.parts").exists()


def test_killed_three_times(tiny_artifact: Artifact, tmp_path: Path) -> None:
    kill_at_random(tmp_path, tiny_artifact, 3, 600, "csv.gz")


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("suffix", ["parquet", "jsonl.zst"])
def test_killed_twenty_times(suffix: str, tiny_artifact: Artifact, tmp_path: Path) -> None:
    kill_at_random(tmp_path, tiny_artifact, 20, 1500, suffix)


def stopped(arguments: list[str], parts: int) -> Done:
    """A run in this process that a full disk stops after so many parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serve.score.files.os.fsync", failing(2 * parts + 2, OSError(28, "No space left on device")))
        done = score(*arguments)
    assert done.code == 2
    return done


@pytest.fixture
def unfinished(tiny_artifact: Artifact, tmp_path: Path) -> list[str]:
    """The command of a run that was stopped after three of five parts."""
    given = write_rows(tmp_path / "in.jsonl", [row | {"text": row["text"] * 40} for row in articles(80)])
    arguments = command([given], tmp_path / "out.jsonl", tiny_artifact)
    stopped(arguments, 3)
    assert len(list((tmp_path / "out.jsonl.parts").glob("part-*.arrow"))) == 3
    return arguments


def test_an_unfinished_run_is_not_overwritten_unasked(unfinished: list[str], tmp_path: Path) -> None:
    done = score(*unfinished)
    assert done.code == 2
    assert "an unfinished run; give --resume, or --overwrite" in done.told
    with FileLock(tmp_path / "out.jsonl.parts" / "lock"):
        done = score(*unfinished, "--resume")
        assert done.code == 2
        assert "another run is writing there" in done.told
    assert score(*unfinished, "--overwrite").code == 0
    done = score(*unfinished, "--resume")
    assert done.code == 0
    assert "nothing to resume" in done.told


@pytest.mark.parametrize("how", ["appended", "touched", "middle", "other name", "gone"])
def test_a_changed_input_is_refused(how: str, unfinished: list[str], tmp_path: Path) -> None:
    given = tmp_path / "in.jsonl"
    before = given.stat()
    if how == "appended":
        with given.open("ab") as file:
            file.write(b'{"text": "more"}\n')
    elif how == "touched":
        os.utime(given, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    elif how == "middle":  # same size, same time, far from both ends: only the chunks' own digests tell
        data = bytearray(given.read_bytes())
        assert len(data) > 200_000
        at = data.index(b"a31") + 1
        data[at : at + 2] = b"99"
        assert 65_536 < at < len(data) - 65_536
        given.write_bytes(data)
        os.utime(given, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        given.rename(tmp_path / "other.jsonl")
    arguments = [str(tmp_path / "other.jsonl"), *unfinished[1:]] if how == "other name" else unfinished
    done = score(*arguments, "--resume")
    assert done.code == 2, done.told
    expected = {"other name": "the inputs are not those", "gone": "no such file"}.get(how, "in.jsonl: changed since")
    assert expected in done.told
    assert len(list((tmp_path / "out.jsonl.parts").glob("part-*.arrow"))) == 3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--chunk", "17"], "--chunk is not that of the unfinished run"),
        (["--threshold", "THEME=0.5"], "--threshold is not that"),
        (["--text-column", "note"], "--text-column is not that"),
        (["--near-duplicates", "mark"], "--near-duplicates is not that"),
        (["--model-engine", "torch"], "--model-engine is not that"),
    ],
)
def test_changed_options_are_refused(
    change: list[str], expected: str, unfinished: list[str], tiny_artifact: Artifact
) -> None:
    change = [part.replace("THEME", tiny_artifact.taxonomy.keys[0]) for part in change]
    done = score(*unfinished, *change, "--resume")
    if change[-1] == "torch" and done.code == 0:
        pytest.skip("auto takes torch here")
    assert done.code == 2, done.told
    assert expected in done.told


def test_another_model_is_refused(unfinished: list[str], tiny_artifact: Artifact, tmp_path: Path) -> None:
    journal = tmp_path / "out.jsonl.parts" / "journal.json"
    facts = json.loads(journal.read_text())
    assert facts["model"] == tiny_artifact.digest
    journal.write_text(json.dumps(facts | {"model": "0" * 64}))
    done = score(*unfinished, "--resume")
    assert done.code == 2
    assert "the model is not that of the unfinished run" in done.told
    journal.write_text("{")
    assert "journal.json: damaged" in score(*unfinished, "--resume").told


def test_stopped_by_hand(tiny_artifact: Artifact, tmp_path: Path) -> None:
    from model.windows import Windower

    arguments = command(mixed_input(tmp_path, 60), tmp_path / "out.jsonl", tiny_artifact)
    calls = iter(range(10**6))
    encode = Windower.encode

    def interrupted(self: Windower, article: Article, language: str = "") -> Encoded:
        if next(calls) == 40:
            raise KeyboardInterrupt
        return encode(self, article, language)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Windower, "encode", interrupted)
        done = score(*arguments)
    assert done.code == 130
    assert done.told == "themewatch: stopped; the same command with --resume goes on\n"
    assert list((tmp_path / "out.jsonl.parts").glob("part-*.arrow"))
    assert score(*arguments, "--resume").code == 3
    assert len(read_rows(tmp_path / "out.jsonl")) == 92


def test_what_others_keep_in_the_folder_stays(tiny_artifact: Artifact, tmp_path: Path) -> None:
    given = write_rows(tmp_path / "in.jsonl", articles(3))
    parts = tmp_path / "out.csv.parts"
    parts.mkdir()
    (parts / "mine.txt").write_text("mine")
    assert score(given, "-o", tmp_path / "out.csv", "--overwrite", "--model", tiny_artifact.folder).code == 0
    assert [path.name for path in parts.iterdir()] == ["mine.txt"]


def test_killed_while_clearing_up(tiny_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = mixed_input(tmp_path, 40)
    arguments = command(inputs, tmp_path / "out.csv", tiny_artifact)

    def fail(*_: object) -> None:
        raise OSError("killed here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serve.score.journal.Workspace._remove_parts", fail)
        assert score(*arguments).code == 2  # the very first clearing, of an empty folder
    for method in ("_remove_parts", "clear"):
        output = tmp_path / f"{method}.csv"
        arguments = command(inputs, output, tiny_artifact)
        with pytest.MonkeyPatch.context() as patch:
            from serve.score.journal import Workspace

            real = getattr(Workspace, method)

            def late(self: Workspace, real: object = real) -> None:
                if self.output.exists():
                    raise OSError("killed here")
                assert callable(real)
                real(self)

            patch.setattr(Workspace, method, late)
            assert score(*arguments).code == 2
        assert output.exists()
        whole = output.read_bytes()
        for part in list(Path(f"{output}.parts").glob("part-*"))[::2]:
            part.unlink()
        done = score(*arguments, "--resume")
        assert done.code == 3
        assert "Rejected rows: 7" in done.told
        assert output.read_bytes() == whole
        assert not Path(f"{output}.parts").exists()
        Path(f"{output}.parts").mkdir()  # the journal was removed, the folder not yet
        assert score(*arguments, "--resume").code == 3
        assert not Path(f"{output}.parts").exists()


def test_standard_input_can_be_resumed(tiny_artifact: Artifact, tmp_path: Path) -> None:
    data = "".join(json.dumps(row) + "\n" for row in articles(60)).encode()
    arguments = [
        "-",
        "--input-format",
        "jsonl",
        "-o",
        tmp_path / "out.csv",
        "--chunk",
        10,
        "--model",
        tiny_artifact.folder,
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serve.score.files.os.fsync", failing(8, OSError(28, "No space left on device")))
        assert score(*arguments, stdin=data).code == 2
    done = score(*arguments, "--resume", stdin=data.replace(b"a3", b"b3", 1))
    assert done.code == 2
    assert "stdin: changed since the unfinished run" in done.told
    assert score(*arguments, "--resume", stdin=data).code == 0
    assert len(read_rows(tmp_path / "out.csv")) == 60


def test_workers_give_the_same(tiny_artifact: Artifact, tmp_path: Path) -> None:
    inputs = mixed_input(tmp_path, 120)
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    assert not killed([*command(inputs, one, tiny_artifact)], 300)
    assert not killed([*command(inputs, two, tiny_artifact), "--workers", "2"], 300)
    assert one.read_bytes() == two.read_bytes()
    assert rejected(one) == rejected(two)


def test_workers_tell_of_errors_and_leave_with_their_parent(tiny_artifact: Artifact, tmp_path: Path) -> None:
    given = write_rows(tmp_path / "in.jsonl", articles(3))
    arguments = [given, "-o", tmp_path / "out.csv", "--model", tiny_artifact.folder, "--workers", "2"]
    wrong = [THEMEWATCH, "score", *map(str, arguments), "--model-engine", "nonsense"]
    done = subprocess.run(wrong, capture_output=True, timeout=300, check=False)
    assert done.returncode == 2
    assert b"no engine 'nonsense'" in done.stderr
    many = write_rows(tmp_path / "many.jsonl", articles(30_000))
    arguments[0] = many
    process = subprocess.Popen([THEMEWATCH, "score", *map(str, arguments)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("out.csv.parts/part-*.arrow")) and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = _workers(process.pid)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)  # as the kernel does when memory runs out
    _, told = process.communicate(timeout=300)
    assert process.returncode == 2, told
    assert b"a worker process died" in told.splitlines()[-1]
    assert not _running(workers)
    process = subprocess.Popen([THEMEWATCH, "score", *map(str, arguments), "--resume"], stderr=subprocess.DEVNULL)
    while len(workers := _workers(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.kill()
    process.wait()
    assert len(workers) == 2
    while _running(workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _running(workers)


def _workers(pid: int) -> list[int]:
    """The worker processes of a run (multiprocessing has a helper beside them)."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def _running(pids: list[int]) -> list[int]:
    """Those that still run; a dead process that nobody waited for has no command line."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_memory_does_not_grow_with_the_file(tiny_artifact: Artifact, tmp_path: Path) -> None:
    peaks = []
    for count in (10_000, 100_000):
        given = tmp_path / f"{count}.jsonl"
        with given.open("w") as file:
            for i in range(count):
                file.write(json.dumps({"id": i, "text": f"police in the city {i}", "extra": "x" * 50}) + "\n")
        arguments = [given, "-o", tmp_path / f"{count}.csv", "--model", tiny_artifact.folder]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT, check=True
        )
        code, peak = map(int, done.stdout.split())
        assert code == 0, done.stderr
        peaks.append(peak)
    assert peaks[1] <= peaks[0] * 1.1, peaks
