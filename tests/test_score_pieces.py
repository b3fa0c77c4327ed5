"""The pieces of ``themewatch score`` on their own."""

from __future__ import annotations

import gzip
import io
import json
import random
from pathlib import Path

import numpy as np
import pytest
import zstandard
from rich.console import Console

from model.errors import InputError
from model.text import Article
from serve.score import sources, streams
from serve.score.chunks import Cutter
from serve.score.duplicates import Duplicates, NearDuplicates, Recent
from serve.score.formats import Format, format_of, output_format
from serve.score.inputs import Input, expand
from serve.score.near import NearIndex, shingles
from serve.score.progress import Meter
from serve.score.rows import Columns, Rejected, Row
from serve.score.scorer import Metered
from serve.score.sinks import safe_cell
from serve.score.sources import read_rows

COLUMNS = Columns()


def rows_of(path: Path, data: bytes) -> list[Row | Rejected]:
    path.write_bytes(data)
    (item,) = expand([str(path)], "", [])
    return list(read_rows(item, COLUMNS))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "csv"), ("b.TSV.gz", "tsv.gz"), ("c.v2.ndjson.zst", "jsonl.zst"), ("d.pq", "parquet"),
        ("e.txt", "None"), ("f.gz", "None"), ("g", "None"), (".csv", "None"), ("https://x/y.jsonl.zstd", "jsonl.zst"),
    ],
)  # fmt: skip
def test_formats_by_name(name: str, expected: str) -> None:
    assert str(format_of(name)) == expected


def test_output_formats() -> None:
    assert output_format("x.gz", "csv") == Format("csv", "gz")
    assert output_format("x.csv", "jsonl") == Format("jsonl")
    assert output_format("x.csv.gz", "jsonl.zst") == Format("jsonl", "zst")


@pytest.mark.parametrize("delimiter", [b",", b";", b"\t", b"|"])
def test_delimiters_and_line_ends(delimiter: bytes, tmp_path: Path) -> None:
    for end in (b"\n", b"\r\n"):
        data = b"\xef\xbb\xbf" + end.join(delimiter.join(line) for line in ([b"a b", b"text"], [b"1", b"x y"]))
        (row,) = rows_of(tmp_path / "a.csv", data)
        assert isinstance(row, Row)
        assert (row.cells, row.line) == ({"a b": "1", "text": "x y"}, 2)


def test_long_lines_are_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (streams, sources):
        monkeypatch.setattr(module, "MAX_LINE", 1000)
    monkeypatch.setattr(streams, "KEPT", 10)
    long = b'{"text": "' + b"a" * 5000 + b'"}\n'
    found = rows_of(tmp_path / "a.jsonl", b'{"text": "x"}\n' + long + b'{"text": "y"}')
    assert [type(row) for row in found] == [Row, Rejected, Row]
    assert isinstance(found[1], Rejected)
    assert found[1].raw == '{"text": "'
    assert found[1].reason == "the line is too long (5,013 bytes; only its beginning is kept)"
    # an opening quote without an end: looked for in so many bytes, then only its own line is given up
    good = b"".join(b"1,good\n" for _ in range(400))
    found = rows_of(tmp_path / "a.csv", b"n,text\n" + good + b'1,"open\n' + good + b"1," + b"a" * 2000 + b"\n" + good)
    lost = [row for row in found if isinstance(row, Rejected)]
    assert [(row.line, row.raw[:7]) for row in lost] == [(402, '1,"open'), (803, "1,aaaaa")]
    assert len(found) == 1202


def test_quotes_out_of_order_do_not_swallow_rows(tmp_path: Path) -> None:
    rng = random.Random(5)
    for _ in range(60):
        lines = [f'{i},"good {i}"' for i in range(20)]
        bad = sorted(rng.sample(range(0, 20, 2), 3))  # two unclosed quotes in a row would make one good record
        for at in bad:
            lines[at] = rng.choice([f'{at},"open', f'{at},"a"b', f'{at},"', f'"{at},x,"y'])
        found = rows_of(tmp_path / "a.csv", ("n,text\n" + "\n".join(lines)).encode())
        good = [row.text for row in found if isinstance(row, Row)]
        assert good == [f"good {i}" for i in range(20) if i not in bad], lines
        assert [row.raw for row in found if isinstance(row, Rejected)] == [lines[at] for at in bad]


def test_compressed_streams_in_pieces(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"row {i}"}).encode() + b"\n" for i in range(5000)]
    data = b"".join(lines)
    half = len(lines[0]) * 100 + 7
    for suffix, squeeze in (("gz", gzip.compress), ("zst", zstandard.compress)):
        found = rows_of(tmp_path / f"a.jsonl.{suffix}", squeeze(data[:half]) + squeeze(data[half:]))
        assert [row.text for row in found if isinstance(row, Row)] == [f"row {i}" for i in range(5000)]
        assert rows_of(tmp_path / f"b.jsonl.{suffix}", b"") == []
    bomb = zstandard.compress(b"\0" * 300_000_000)
    (row,) = rows_of(tmp_path / "bomb.jsonl.zst", bomb)
    assert isinstance(row, Rejected)


def test_inputs_never_show_passwords() -> None:
    with pytest.raises(InputError) as told:
        expand(["nonsense://me:secret@host/x.csv"], "", [])
    assert "secret" not in str(told.value)


def test_chunks_end_by_rows_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    texts = ["x" * 10] * 25 + ["y" * 900_000] * 5 + ["z"] * 3
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    inputs = expand([str(path)], "", [])
    chunks = list(Cutter(inputs, COLUMNS, 10))
    assert [len(chunk.entries) for chunk in chunks] == [10, 10, 8, 3, 2] or [len(c.entries) for c in chunks][:2] == [
        10,
        10,
    ]
    assert sum(len(chunk.entries) for chunk in chunks) == len(texts)
    assert all(sum(entry.size for entry in chunk.entries) < 3_000_000 for chunk in chunks)
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert chunks[-1].position == path.stat().st_size
    assert [chunk.digest() for chunk in chunks] == [chunk.digest() for chunk in Cutter(inputs, COLUMNS, 10)]
    assert isinstance(inputs[0], Input)


def test_memory_of_copies_is_bounded() -> None:
    recent: Recent[int, int] = Recent(3)
    for i in range(5):
        recent.put(i, i)
        recent.get(2)
    assert [recent.get(i) for i in range(5)] == [None, None, 2, 3, 4]
    copies = Duplicates(remembered=2)
    fresh = [copies.place("", text).fresh for text in ("a", "b", "a", "c", "a", "b", "c")]
    assert fresh == [True, True, False, True, False, True, True]
    assert Duplicates().place("a", "b").slot is not Duplicates().place("", "ab").slot
    one = Duplicates(NearDuplicates.MARK)
    assert one.place("ab", "c").cluster != one.place("a", "bcdefg hijk").cluster


def test_near_copies_are_told_from_others() -> None:
    rng = random.Random(3)
    words = [f"w{i}" for i in range(3000)]
    index = NearIndex(capacity=64)
    texts = [" ".join(rng.choices(words, k=300)) for _ in range(60)]
    assert [index.cluster(text) for text in texts] == list(range(1, 61))
    for number, text in enumerate(texts, 1):
        changed = text.split()
        changed[rng.randrange(300)] = "changed"
        assert index.cluster(" ".join(changed)) == number
        assert index.cluster(f"Breaking: {text.upper()}") == number
        assert index.cluster(" ".join(changed[:150] + rng.choices(words, k=150))) > 60 or number > 60
    assert index.cluster(texts[0]) > 60  # forgotten: 64 clusters later
    thai = "".join(chr(0xE01 + rng.randrange(40)) for _ in range(400))
    assert index.cluster(thai) == index.cluster(thai[:200] + "ก" + thai[200:])
    assert index.cluster("!!!") != index.cluster("???")
    assert len(shingles("word " * 100_000)) == 1


def test_windows_reach_the_engine_by_length_and_come_back_in_order() -> None:
    class Echo:
        name = "echo"

        def __init__(self) -> None:
            self.calls: list[list[int]] = []

        def token_scores(self, windows: object) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
            assert isinstance(windows, list)
            self.calls.append([len(window) for window in windows])
            return [np.asarray(window, dtype=np.float32)[:, None] for window in windows]

        def bias(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
            return np.zeros(1, dtype=np.float32)

    rng = random.Random(1)
    windows = [[rng.randrange(1000)] * rng.randrange(1, 512) for _ in range(400)]
    engine, ticks = Echo(), []
    metered = Metered(engine, lambda articles, tokens: ticks.append((articles, tokens)))
    metered.expect(200, sum(map(len, windows)))
    out = metered.token_scores(windows)
    assert [[int(x) for x in scores[:, 0]] for scores in out] == windows
    lengths = [length for call in engine.calls for length in call]
    assert lengths == sorted(lengths, reverse=True)
    assert len(engine.calls) > 2
    assert sum(articles for articles, _ in ticks) == pytest.approx(200)
    assert metered.token_scores([]) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_progress(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.score.progress._EVERY", 0.0)
    for total in (1000, None):
        out = io.StringIO()
        with Meter(Console(file=out, force_terminal=terminal, width=120), total) as meter:
            meter.begin()
            meter.expect(10, 500)
            meter.tick(5.0, 200)
            meter.tick(5.0, 200)
            meter.reach(500)
        told = out.getvalue()
        assert "articles/s" in told
        assert "tokens/s" in told
        assert ("50%" in told) is (total is not None)
        assert ("left" in told) is (total is not None)
        assert (meter.articles, meter.tokens) == (10.0, 400)


def test_a_broken_article_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from serve.score.scorer import Scorer

    class Windower:
        def encode(self, article: Article) -> object:
            raise {"a": RuntimeError("odd"), "b": InputError("no readable text")}[article.text]

    class Classifier:
        windower = Windower()

        def predict_encoded(self, encoded: list[object], explain: bool) -> list[object]:
            assert encoded == []
            return []

    scorer = Scorer.__new__(Scorer)
    monkeypatch.setattr(scorer, "_classifier", Classifier(), raising=False)
    monkeypatch.setattr(scorer, "_engine", Metered.__new__(Metered), raising=False)
    monkeypatch.setattr(scorer, "_explain", False, raising=False)
    assert scorer.score([Article("a"), Article("b")]) == ["cannot be scored (RuntimeError: odd)", "no readable text"]


def test_numbers_are_no_formulas() -> None:
    for text in ("-1", "+1.5e-3", "-1,234.5", "-.5", "+12%", "", "text", "1=1"):
        assert safe_cell(text) == text
    for text in ("-1+1", "=1", "--1", "-", "+", "@SUM(A1)", "-cmd|' /C calc'!A0", "\t-1", "\n=1", "＝1"):
        assert safe_cell(text) == f"'{text}"
