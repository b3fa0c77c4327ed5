"""Imports: what each labelling tool's export says, and what is never guessed."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from model.errors import DataError
from model.main import main
from model.taxonomy import Taxonomy
from tests.conftest import ROOT, write_jsonl
from training.data import load_items
from training.export_formats import Options
from training.importers import Judgement, Left, read_judgements
from training.mapping import LabelMapping, require_mapped
from training.merge import Merged, merge

THEMES = ROOT / "configs" / "themes.yaml"
KEYS = Taxonomy.load(THEMES).keys
S, L, T, C = "sextortion", "livestreamed_abuse", "trafficking_recruitment", "crypto_laundering"


def write_json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), "utf-8")
    return path


def read(path: Path, kind: str = "auto", **options: str) -> tuple[list[Judgement], list[Left]]:
    return read_judgements([path], kind, Options(**options))


def merged(path: Path, mapping: LabelMapping | None = None, **options: bool) -> Merged:
    return merge(read(path)[0], mapping or LabelMapping.identity(KEYS), KEYS, **options)


def task(text: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": 7, "data": {"text": text, "title": "T", "lang": "en"}, "annotations": list(annotations)}


def annotation(who: object, *labels: str, **more: object) -> dict[str, Any]:
    choices = {"type": "choices", "from_name": "theme", "to_name": "text", "value": {"choices": list(labels)}}
    return {"completed_by": who, "was_cancelled": False, "result": [choices] if labels else [], **more}


def test_label_studio(tmp_path: Path) -> None:
    span = {"type": "labels", "from_name": "span", "value": {"start": 0, "end": 3, "labels": ["Name"]}}
    rows = [
        task("one", annotation(1, S, C)),
        task("two", annotation({"id": 2, "email": "a@b.c"})),
        task("three", annotation(1, S, was_cancelled=True)),
        task("four"),
        task("five", annotation(1, L), annotation(2, T, ground_truth=True)),
        task("six", annotation(1, L) | {"result": [span, *annotation(1, L)["result"]]}),
        {"id": 8, "data": "no task", "annotations": [annotation(1)]},
    ]
    found, left = read(write_json(tmp_path / "export.json", rows))
    assert [(j.text, j.labels) for j in found] == [
        ("one", (S, C)), ("two", ()), ("five", (T,)), ("six", (L,)),
    ]  # fmt: skip
    assert found[1].labeller == "labelstudio a@b.c"
    assert (found[0].title, found[0].lang, found[0].id) == ("T", "en", "")
    assert [(item.reason.split(" (")[0], item.broken) for item in left] == [
        ("skipped by the labeller", False), ("not labelled yet", False), ("not a row of labelstudio", True),
    ]  # fmt: skip


def test_one_question_of_several(tmp_path: Path) -> None:
    quality = {"type": "choices", "from_name": "quality", "value": {"choices": ["good"]}}
    path = write_json(tmp_path / "a.json", [task("x", annotation(1, S) | {"result": [quality]})])
    assert read(path)[0][0].labels == ("good",)
    assert read(path, question="theme")[0][0].labels == ()


def test_argilla_nested_and_flattened(tmp_path: Path) -> None:
    nested = {
        "id": "r1", "fields": {"text": "one"}, "metadata": {"lang": "fr"}, "suggestions": {}, "vectors": {},
        "responses": {"theme": [{"value": [S, C], "user_id": "u1"}, {"value": [S], "user_id": "u2"}]},
    }  # fmt: skip
    flat = {
        "id": "r2", "status": "completed", "text": "two", "theme.suggestion": C, "theme.responses": [S, L, T],
        "theme.responses.users": ["u1", "u2", "u3"], "theme.responses.status": ["submitted", "draft", "discarded"],
    }  # fmt: skip
    found, _ = read(write_json(tmp_path / "a.json", [nested]))
    assert [(j.labeller, j.labels, j.lang, j.id) for j in found] == [
        ("argilla u1", (S, C), "fr", "r1"), ("argilla u2", (S,), "fr", "r1"),
    ]  # fmt: skip
    found, left = read(write_jsonl(tmp_path / "a.jsonl", [flat, flat | {"theme.responses": None}]))
    assert [(j.labeller, j.labels) for j in found] == [("argilla u1", (S,))]
    assert left[0].reason == "not labelled yet"


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"id": "r", "text": "one", "theme.responses": [[S, C]], "theme.responses.users": ["u"]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0][0].labels == (S, C)
    pq.write_table(pa.Table.from_pylist([{"text": "one", "label": 3}]), tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet")[0][0].labels == ("3",)


def test_prodigy_choices(tmp_path: Path) -> None:
    options = [{"id": S, "text": S}, {"id": 1, "text": C}]
    row = {"text": "one", "options": options, "accept": [S, 1], "answer": "accept", "_annotator_id": "ann"}
    path = write_jsonl(tmp_path / "a.jsonl", [row, row | {"answer": "ignore"}, row | {"text": "two", "accept": []}])
    found, left = read(path)
    assert [(j.labeller, j.labels, j.asked) for j in found] == [
        ("prodigy ann", (S, C), None), ("prodigy ann", (), None),
    ]  # fmt: skip
    assert left[0].reason == "answered 'ignore'"


def test_prodigy_one_label_at_a_time(tmp_path: Path) -> None:
    """A theme nobody asked about is not absent: the article is left out until all were asked."""
    answers = {S: "accept", L: "reject", T: "reject", C: "accept"}
    rows: list[dict[str, object]] = [
        {"text": "whole", "label": k, "answer": a, "_session_id": "x"} for k, a in answers.items()
    ]
    part: dict[str, object] = {"text": "part", "label": S, "answer": "accept", "_session_id": "x"}
    path = write_jsonl(tmp_path / "a.jsonl", [*rows, part])
    result = merged(path)
    assert [(row["text"], row["themes"]) for row in result.rows] == [("whole", [S, C])]
    assert f"nobody was asked about {L}, {T}, {C}" in result.left[0].reason
    assert [row["themes"] for row in merged(path, assume_none=True).rows] == [[S, C], [S]]


def test_doccano_does_not_tell_none_from_not_yet(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": 1, "text": "one", "label": [S, C], "Comments": []}, {"id": 2, "text": "two", "label": []},
        {"id": 3, "text": "three", "labels": L},
    ]  # fmt: skip
    path = write_jsonl(tmp_path / "ann.jsonl", rows)
    result = merged(path)
    assert [row["themes"] for row in result.rows] == [[S, C], [L]]
    assert "not labelled yet?" in result.left[0].reason
    assert len(merged(path, assume_none=True).rows) == 3
    found, left = read(write_jsonl(tmp_path / "spans.jsonl", [{"text": "x", "label": [[0, 1, "Name"]]}]))
    assert not found
    assert "text classification" in left[0].reason


@pytest.mark.parametrize(("delimiter", "suffix"), [(",", "csv"), (";", "csv"), ("\t", "tsv")])
def test_csv(tmp_path: Path, delimiter: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([["id", "body", "label"], ["a1", 'A "text",\nwith; all', f"{S}| {C}"], ["a2", "none", ""]])
    result = merged(path)
    assert [(row["id"], row["text"], row["themes"]) for row in result.rows] == [
        ("a1", 'A "text",\nwith; all', [S, C])
    ]  # fmt: skip
    assert len(result.left) == 1
    path.write_text(f"text{delimiter}themes\nnone{delimiter}\n")  # our own format says so
    assert merged(path).rows[0]["themes"] == []


def test_feedback_goes_through_unchanged(tmp_path: Path) -> None:
    row = {"id": "feedback-1", "text": "one", "title": "t", "themes": [S], "lang": "km", "story": "s"}
    result = merged(write_jsonl(tmp_path / "a.jsonl", [row]))
    assert {key: result.rows[0][key] for key in row} == row


def test_labels_need_a_theme(tmp_path: Path) -> None:
    counts, template = {"Sextortion": 3, "yes": 1, "Off topic: x": 2, S: 1}, tmp_path / "map.yaml"
    with pytest.raises(DataError, match=r"3 labels without a theme: 'Sextortion' \(3\), 'yes' \(1\)"):
        require_mapped(LabelMapping.identity(KEYS), counts, KEYS, None)
    with pytest.raises(DataError, match=r"fill in .*map\.yaml"):
        require_mapped(LabelMapping.identity(KEYS), counts, KEYS, template)
    with pytest.raises(DataError, match="is not filled in"):
        LabelMapping.load(template, KEYS)
    assert '"Sextortion": sextortion  # 3 times, guessed' in template.read_text()
    template.write_text(template.read_text().replace('"yes":', '"yes": none').replace('x":', f'x": {C}'))
    mapping = LabelMapping.load(template, KEYS)
    require_mapped(mapping, counts, KEYS, None)
    assert mapping.apply(["yes", "Sextortion", "Off topic: x"]) == {S, C}
    template.write_text("yes: ransomware\n")
    with pytest.raises(DataError, match=r"'yes' maps to 'ransomware'; use none or one of"):
        LabelMapping.load(template, KEYS)


def test_conflicts_are_listed_and_majority_settles_them(tmp_path: Path) -> None:
    rows = [
        task("Two against one", annotation("a", S), annotation("b", S, C), annotation("c", S)),
        task("One against one", annotation("a", S), annotation("b")),
        task("Agreed", annotation("a", T), annotation("b", T)),
        task("Agreed ", annotation("b", T)),
    ]
    path = write_json(tmp_path / "a.json", rows)
    result = merged(path)
    assert [(row["text"], row["labellers"]) for row in result.rows] == [("Agreed", 2)]
    assert str(result.conflicts[1]).endswith("“One against one…” labelstudio a: sextortion; labelstudio b: none")
    result = merged(path, majority=True)
    assert [(row["themes"], row.get("resolved")) for row in result.rows] == [([S], "majority"), ([T], None)]
    assert [one.resolved for one in result.conflicts] == [True, False]


def test_a_labellers_last_word_counts(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", [task("x", annotation("a", S)), task("x", annotation("a", T))])
    result = merged(path)
    assert [row["themes"] for row in result.rows] == [[T]]
    assert result.changed == 1


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    """The command in this process: exit code, standard output and error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["themewatch", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = write_json(tmp_path / "a.json", [task("x", annotation(1, "Blackmail")), task("y", annotation(1))])
    out, mapping = tmp_path / "out.jsonl", tmp_path / "map.yaml"
    code, _, told = run(capsys, "data", "import", exported, "-o", out, "--themes", THEMES, "--write-mapping", mapping)
    assert code == 2
    assert told.startswith("themewatch: 1 labels without a theme: 'Blackmail' (1)")
    assert not out.exists()
    mapping.write_text(f"Blackmail: {S}\n")
    code, _, told = run(capsys, "data", "import", exported, "-o", out, "--themes", THEMES, "--mapping", mapping)
    assert (code, "2 labelled articles" in told) == (0, True)
    assert [item.themes for item in load_items([out], KEYS)] == [(S,), ()]


def test_the_command_names_what_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = json.dumps({"id": "a", "text": "one", "themes": []})
    path, out = tmp_path / "a.jsonl", tmp_path / "out.jsonl"
    path.write_text(f"{good}\n{{cut off")
    code, _, told = run(capsys, "data", "import", path, "-o", out, "--themes", THEMES)
    assert (code, f"{path}:2: not valid JSON" in told) == (2, True)
    assert len(load_items([out], KEYS)) == 1
    for name, content, reason in [
        ("a.json", "[{", "not valid JSON"), ("a.xlsx", "", "unknown kind of file"),
        ("b.jsonl", '{"text": "x"}', "no known format"), ("c.jsonl", "", "no labelled"),
    ]:  # fmt: skip
        (tmp_path / name).write_text(content)
        code, _, told = run(capsys, "data", "import", tmp_path / name, "-o", out, "--themes", THEMES)
        assert (code, reason in told) == (2, True), told


def test_label_studio_json_min_and_csv(tmp_path: Path) -> None:
    about = {"text": "one", "lang": "en", "annotator": "a@b.c", "annotation_id": 4}
    rows = [
        about | {"theme": {"choices": [S, C]}},
        about | {"text": "two", "theme": L},
        about | {"text": "three"},
        about | {"text": "four", "theme": [{"taxonomy": [["exploitation", S], [T]]}]},
    ]
    path = write_json(tmp_path / "min.json", rows)
    found, left = read(path)
    assert not found
    assert "name the control with --question" in left[0].reason
    found, left = read(path, question="theme")
    assert [j.labels for j in found] == [(S, C), (L,), (), (f"exploitation/{S}", T)]
    assert not left
    assert found[0].labeller == "labelstudio a@b.c"
    cells = tmp_path / "a.csv"
    with cells.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "theme"], ["one", json.dumps({"choices": [S, C]})], ["two", L]])
    assert [j.labels for j in read(cells, question="theme")[0]] == [(S, C), (L,)]


def test_a_relation_in_label_studio_is_no_label(tmp_path: Path) -> None:
    relation = {"type": "relation", "from_id": "a", "to_id": "b"}
    path = write_json(tmp_path / "a.json", [task("x", annotation(1, S) | {"result": [relation]})])
    assert [j.labels for j in read(path)[0]] == [()]


def test_csv_with_a_column_for_each_theme(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        f"id,text,year,{S},{L},{T},{C}\n1,one,2024,1,0,0,1\n2,two,2024,0,0,0,0\n3,three,2024,1,,0,0\n4,four,,,,,\n"
    )
    result = merged(path)
    assert [(row["text"], row["themes"]) for row in result.rows] == [("one", [S, C]), ("two", [])]
    assert f"nobody was asked about {L}" in result.left[0].reason
    found, left = read(path)
    assert len(found) == 3
    assert "none of 0 and 1" in left[0].reason


def test_argilla_one_and_pending_records(tmp_path: Path) -> None:
    old: dict[str, object] = {
        "text": "one",
        "prediction": None,
        "annotation": [S, C],
        "annotation_agent": "u",
        "status": "Validated",
    }
    rows = [
        old,
        old | {"text": None, "inputs": {"text": "two"}, "annotation": L},
        old | {"status": "Discarded"},
        old | {"status": "Default", "annotation": None},
    ]
    found, left = read(write_jsonl(tmp_path / "old.jsonl", rows))
    assert [(j.text, j.labeller, j.labels) for j in found] == [
        ("one", "argilla u", (S, C)), ("two", "argilla u", (L,)),
    ]  # fmt: skip
    assert [one.reason for one in left] == ["status 'Discarded'", "not labelled yet"]
    nested = {"fields": {"text": "x"}, "responses": {"theme": [{"value": [S], "user_id": "u"}]}, "status": "pending"}
    given = [{"user_id": "u", "status": "submitted", "values": {"theme": {"value": [S]}}},
             {"user_id": "v", "status": "discarded", "values": {"theme": {"value": [T]}}}]  # fmt: skip
    rows = [nested, nested | {"status": "completed"}, {"fields": {"text": "y"}, "responses": given}]
    found, left = read(write_json(tmp_path / "new.json", rows))
    assert [(j.text, j.labels) for j in found] == [("x", (S,)), ("y", (S,))]
    assert left[0].reason.startswith("pending: its answers may be drafts or discarded")


def test_rows_with_dates_are_written(tmp_path: Path) -> None:
    from datetime import date

    from training.rows import write_rows

    assert write_rows(tmp_path / "a.jsonl", [{"text": "x", "published": date(2024, 5, 1)}]) == 1
    assert "2024-05-01" in (tmp_path / "a.jsonl").read_text()
