"""The registry never loses or changes a model, and the gate lets nothing worse through."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from model.artifact import Artifact, seal
from model.errors import ArtifactError, DataError
from model.layout import LAYOUT
from model.registry import Registry, current_model
from tests.conftest import PLAIN, WORDS, tiny_settings, write_jsonl
from tests.test_importers import run
from training.comparison import Answers, compare
from training.data import Item
from training.labels import judge
from training.parity import MOST_DIFFERENT
from training.promotion import objections, promote
from training.splits import Parts

KEYS = tuple(WORDS)


def spoken_rows(count: int, seed: int) -> list[dict[str, object]]:
    """Toy articles in two languages that have no theme's words in common."""
    rng = random.Random(seed)
    rows: list[dict[str, object]] = []
    for i in range(count):
        lang = ("en", "fr")[i % 2]
        themes = [key for key in KEYS if rng.random() < 0.25]
        own = {key: WORDS[key].split()[3 * (i % 2) :][:3] for key in themes}
        sentences = [
            " ".join(rng.choices(PLAIN.split(), k=6) + rng.choices(own.get(key, PLAIN.split()), k=4)) + "."
            for key in [*themes, "", "", ""]
        ]
        rng.shuffle(sentences)
        name = f"spoken{seed}-{i}"
        rows.append({"id": name, "story": name, "lang": lang, "text": " ".join(sentences), "themes": themes})
    return rows


def resealed(artifact: Artifact, to: Path, change: Callable[[dict[str, Any]], None], **facts: object) -> Artifact:
    """A copy of an artifact with other decisions."""
    shutil.copytree(artifact.folder, to)
    decisions = json.loads((to / LAYOUT.decisions).read_text())
    for rule in decisions["themes"].values():
        change(rule)
    (to / LAYOUT.decisions).write_text(json.dumps(decisions))
    manifest = json.loads((to / LAYOUT.manifest).read_text())
    kept = {k: v for k, v in manifest.items() if k not in ("kind", "format", "written_by", "files")}
    return seal(to, kept | facts)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


@pytest.fixture
def second(tiny_artifact: Artifact, tmp_path: Path) -> Artifact:
    """The same model under another version."""
    return resealed(tiny_artifact, tmp_path / "second", lambda _: None, version="0.2.0")


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("spoken") / "test.jsonl", spoken_rows(120, seed=41))


def test_a_model_is_copied_in_and_never_changes(
    registry: Registry, tiny_artifact: Artifact, second: Artifact, tmp_path: Path
) -> None:
    (second.folder / "stray.txt").write_text("not the model's")
    name = registry.add(second.folder, reason="first")
    assert name == f"tiny-0.2.0-{second.digest[:12]}"
    assert Artifact.load(registry.path("tiny-0.2")).digest == second.digest
    assert registry.path(second.digest[:6]) == registry.path(name)
    assert not list(registry.path(name).rglob("stray.txt"))
    assert {p.stat().st_mode & 0o777 for p in registry.path(name).rglob("*") if p.is_file()} == {0o444}
    assert registry.add(second.folder) == name  # once
    assert [(row["action"], row["digest"], row["reason"]) for row in registry.journal()] == [
        ("add", second.digest, "first")
    ]  # fmt: skip
    registry.add(tiny_artifact.folder, parent=name)
    assert registry.journal()[1]["parent"] == name
    with pytest.raises(ArtifactError, match=r"may be tiny-0\.1\.0-.* or tiny-0\.2\.0"):
        registry.path("tiny")
    with pytest.raises(ArtifactError, match="no model 'other'"):
        registry.path("other")


def test_damaged_and_treacherous_models_stay_out(registry: Registry, second: Artifact, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    manifest = json.loads((second.folder / LAYOUT.manifest).read_text())
    from model.cache import sha256

    (second.folder / LAYOUT.manifest).write_text(
        json.dumps(manifest | {"files": manifest["files"] | {"../outside.txt": sha256(outside)}})
    )
    with pytest.raises(ArtifactError, match="outside of it"):
        registry.add(second.folder)
    (second.folder / LAYOUT.head).write_bytes(b"")
    with pytest.raises(ArtifactError, match="damaged"):
        registry.add(second.folder)
    assert registry.names() == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"damaged|cannot write the registry"):
        Registry(tmp_path / "file").add(second.folder)


def test_the_pointer_moves_and_comes_back(registry: Registry, tiny_artifact: Artifact, second: Artifact) -> None:
    with pytest.raises(ArtifactError, match="no model was promoted"):
        current_model(registry.folder)
    one, two = registry.add(tiny_artifact.folder), registry.add(second.folder)
    registry.point(one, "", "promote")
    with pytest.raises(ArtifactError, match="no model served before"):
        registry.rollback()
    registry.point(two, one, "promote")
    assert current_model(registry.folder) == registry.path(two)
    with pytest.raises(ArtifactError, match="promoted meanwhile"):
        registry.point(one, one, "promote")
    assert registry.rollback("too many alarms") == one
    assert current_model(registry.folder).name == one
    assert registry.journal()[-1]["reason"] == "too many alarms"
    with pytest.raises(ArtifactError, match="no model served before"):
        registry.rollback()
    damaged = registry.path(two) / LAYOUT.decisions
    damaged.chmod(0o644)
    damaged.write_text("{}")
    with pytest.raises(ArtifactError, match="damaged"):
        registry.point(two, one, "promote")
    assert registry.current() == one


def test_a_journal_cut_off_goes_on(registry: Registry, tiny_artifact: Artifact) -> None:
    registry.add(tiny_artifact.folder)
    journal = registry.folder / "journal.jsonl"
    journal.write_text(journal.read_text() + '{"when": "20')
    registry.note("test", "x")
    assert [row["action"] for row in registry.journal()] == ["add", "test"]


def answers(items: list[Item], wrong: Callable[[Item], bool]) -> Answers:
    """A model that is right except where ``wrong``."""
    said = np.asarray([[(key in item.themes) != wrong(item) for key in KEYS] for item in items])
    return Answers(KEYS, said, np.where(said, 0.95, 0.05), np.where(said, "match", "none"))


def toy_items(languages: tuple[str, ...] = ("en", "fr", "km")) -> list[Item]:
    return [
        Item(f"i{i}", "text", (KEYS[i % 4],) if i % 3 else (), lang=languages[i % len(languages)], story=f"s{i // 2}")
        for i in range(120)
    ]


def test_what_is_no_worse_passes_and_what_is_worse_is_named() -> None:
    items = toy_items()
    some = answers(items, lambda item: int(item.id[1:]) % 10 == 0)
    assert objections(compare(items, some, some)) == []
    assert objections(compare(items, some, answers(items, lambda _: False))) == []
    worse = objections(compare(items, some, answers(items, lambda item: item.lang == "fr")))
    assert any(reason.startswith("micro-F1 of language fr falls") for reason in worse)
    assert not any("language en" in reason or "language km" in reason for reason in worse)
    few = [item if i > 14 or item.lang != "km" else replace(item, lang="ja") for i, item in enumerate(toy_items())]
    assert "ja" not in compare(few, some, some).languages  # too few to judge alone
    fewer = Answers(KEYS[1:], some.said[:, 1:], some.scores[:, 1:], some.decisions[:, 1:])
    assert objections(compare(items, some, fewer)) == [f"theme {KEYS[0]} is gone"]
    sure = replace(some, scores=np.where(some.said, 0.7, 0.3))
    assert [reason.split(" rises")[0] for reason in objections(compare(items, some, sure))] == ["calibration error"]


def test_the_first_model_has_only_its_engine_checked(
    registry: Registry, tiny_artifact: Artifact, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model.engines.graph import GraphEngine

    name = registry.add(tiny_artifact.folder)
    exact = GraphEngine.token_scores
    monkeypatch.setattr(GraphEngine, "token_scores", lambda self, windows: [-s for s in exact(self, windows)])
    with pytest.raises(ArtifactError, match=r"not promoted: engine [\w-]+ decides .*% of \(article, theme\) pairs"):
        promote(registry, name, data=[tiny_data])
    assert registry.current() == ""
    assert registry.journal()[-1]["action"] == "refuse"
    monkeypatch.setattr(GraphEngine, "token_scores", exact)
    _, figures = promote(registry, name, data=[tiny_data])
    assert registry.current() == name
    assert figures["items"] == tiny_artifact.training["data"]["test"]["items"]
    assert (figures["seen"], figures["objections"]) == ("none", [])
    assert figures["engine"]["disagreement"] <= MOST_DIFFERENT
    assert registry.journal()[-1]["gate"] == figures


def test_inflated_scores_are_refused(
    registry: Registry, tiny_artifact: Artifact, tiny_data: Path, held_out: Path, tmp_path: Path
) -> None:
    one = registry.add(tiny_artifact.folder)
    registry.point(one, "", "promote")

    def inflate(rule: dict[str, Any]) -> None:
        rule["intercept"] += 8.0

    two = registry.add(resealed(tiny_artifact, tmp_path / "two", inflate, name="inflated").folder)
    with pytest.raises(ArtifactError) as refused:
        promote(registry, "inflated", [held_out], [tiny_data])
    assert "calibration error rises" in str(refused.value)
    assert "false alarms on theme-free articles rise" in str(refused.value)
    assert "--accept REASON" in str(refused.value)
    assert "engine" not in str(refused.value)
    assert registry.current() == one
    promote(registry, two, [held_out], [tiny_data], accept="a drill")
    row = registry.journal()[-1]
    assert (row["action"], row["reason"], row["parent"]) == ("promote", "a drill", one)
    assert any("calibration" in reason for reason in row["gate"]["objections"])


def test_a_language_learnt_wrongly_is_refused(
    registry: Registry, tiny_artifact: Artifact, tiny_encoder: Path, held_out: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from training.config import load_config
    from training.run import prepare, train

    rows = spoken_rows(400, seed=43)
    labels = [row["themes"] for row in rows[1::2]]
    random.Random(0).shuffle(labels)
    for row, themes in zip(rows[1::2], labels, strict=True):
        row["themes"] = themes
    data, config = write_jsonl(tmp_path / "data.jsonl", rows), tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tiny_settings(tiny_encoder, data, name="shuffled")))
    shuffled = train(prepare(load_config(config)), tmp_path / "shuffled")
    one = registry.add(tiny_artifact.folder)
    registry.point(one, "", "promote")
    registry.add(shuffled.folder)
    code, _, told = run(capsys, "models", "promote", "shuffled", "--test", held_out, "--data", data,
                        "--registry", registry.folder)  # fmt: skip
    lines = [line for line in told.splitlines() if line.startswith("themewatch: shuffled")]
    assert code == 2
    assert len(lines) == 1
    assert "micro-F1 of language fr falls" in lines[0]
    assert "language en" not in lines[0]
    assert registry.current() == one


def test_articles_trained_on_prove_nothing(registry: Registry, tiny_artifact: Artifact, tiny_data: Path) -> None:
    name = registry.add(tiny_artifact.folder)
    with pytest.raises(DataError, match=r"test articles stand in the model's training data \(t0-.*same text"):
        promote(registry, name, [tiny_data], [tiny_data])
    with pytest.raises(DataError, match="not at hand; give --test FILE"):
        promote(registry, name)
    assert registry.current() == ""


def test_the_commands(
    registry: Registry, tiny_artifact: Artifact, second: Artifact, tiny_data: Path, held_out: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("THEMEWATCH_REGISTRY", str(registry.folder))
    assert "no models" in run(capsys, "models", "list")[1]
    code, one, _ = run(capsys, "models", "add", tiny_artifact.folder)
    assert (code, one.strip()) == (0, registry.names()[0])
    run(capsys, "models", "add", second.folder)
    code, told, _ = run(capsys, "models", "promote", "tiny-0.1", "--data", tiny_data)
    assert (code, "the first; only its engine was checked" in told) == (0, True)
    code, told, _ = run(capsys, "models", "compare", "tiny-0.1", second.folder, "--test", held_out)
    assert (code, "120 articles" in told, "would be refused" in told) == (0, True, False)
    code, told, _ = run(capsys, "models", "promote", "tiny-0.2", "--test", held_out, "--data", tiny_data)
    assert (code, "no worse than tiny-0.1" in told) == (0, True)
    assert f"* {registry.path('tiny-0.2').name}" in run(capsys, "models", "list")[1]
    assert run(capsys, "models", "rollback")[1] == f"{one.strip()} serves now\n"
    assert current_model().name == one.strip()
    assert run(capsys, "models", "promote", "tiny-0.1")[0] == 2


def test_equal_models_are_not_refused_by_chance() -> None:
    """Themes and languages are many: of equal models that differ at random hardly any may be refused."""
    rng, refused, plain = np.random.default_rng(5), 0, 0
    for _ in range(8):
        items = [
            Item(f"i{i}", "text", (KEYS[i % 4],) if i % 3 else (), lang=f"l{i % 12}", story=f"s{i}") for i in range(360)
        ]
        pair = []
        for _ in range(2):
            wrong = rng.random((len(items), len(KEYS))) < 0.06
            said = np.asarray([[key in item.themes for key in KEYS] for item in items]) ^ wrong
            pair.append(Answers(KEYS, said, np.where(said, 0.95, 0.05), np.where(said, "match", "none")))
        result = compare(items, *pair)
        assert len(result.languages) == 12
        parts = [*result.themes.values(), *result.languages.values()]
        plain += any(change.difference.high < 0 for change in parts)
        refused += any(" corrected for 16 themes and languages (Holm)" in reason for reason in objections(result))
    assert plain >= 1  # what intervals alone would have refused
    assert refused <= 1


def test_few_articles_are_not_judged_alone() -> None:
    items = [Item(f"i{i}", "text", (KEYS[0],) if i < 60 else (KEYS[1],) * (i < 65), lang="en") for i in range(120)]
    items = [replace(item, story=item.id) for item in items]
    right, wrong = answers(items, lambda _: False), answers(items, lambda item: item.themes == (KEYS[1],))
    result = compare(items, right, wrong)
    assert result.few == (KEYS[1],)
    assert any("too few to judge alone: livestreamed_abuse" in line for line in result.lines())
    assert not any(reason.startswith(f"F1 of theme {KEYS[1]}") for reason in objections(result))
    alone = [replace(items[0], themes=())]
    quiet, loud = answers(alone, lambda _: False), answers(alone, lambda _: True)
    assert not any("false alarms" in reason for reason in objections(compare(alone, quiet, loud)))  # one article


def test_pairs_that_nobody_judged_count_neither_way() -> None:
    items = [judge(item, KEYS[:1]) if i % 2 and not item.themes else item for i, item in enumerate(toy_items())]
    right = answers(items, lambda _: False)
    said = right.said.copy()
    rows = [i for i, item in enumerate(items) if "labelled" in item.extra]
    said[rows, 1:] = True
    other = Answers(KEYS, said, np.where(said, 0.95, 0.05), np.where(said, "match", "none"))
    assert rows
    assert compare(items, right, other).macro_f1.difference.value == 0
    assert objections(compare(items, right, other)) == []


def test_a_model_without_held_out_articles_asks_for_a_test_file(
    registry: Registry, tiny_artifact: Artifact, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import training.promotion

    monkeypatch.setattr(training.promotion, "recorded_parts", lambda *_: Parts([Item("a", "b", ())], [], [], []))
    with pytest.raises(DataError, match="few articles: none was held out; give --test FILE"):
        promote(registry, registry.add(tiny_artifact.folder), data=[tiny_data])


def test_what_cannot_be_recorded_does_not_serve(
    registry: Registry, tiny_artifact: Artifact, second: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = registry.add(tiny_artifact.folder), registry.add(second.folder)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("model.registry.append_journal", full)
        with pytest.raises(ArtifactError, match="No space left"):
            registry.point(one, "", "promote")
        assert registry.current() == ""
    registry.point(one, "", "promote")
    with monkeypatch.context() as patch:
        patch.setattr("model.registry.append_journal", full)
        with pytest.raises(ArtifactError, match="No space left"):
            registry.point(two, one, "promote")
    assert registry.current() == one
