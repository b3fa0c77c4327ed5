"""Retraining: from a model, with replay, with a new theme, with few articles, with the head alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import training.prepare
import training.replay
from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.decisions import ThemeDecision
from model.errors import ArtifactError, ConfigError, DataError
from model.layout import LAYOUT
from tests.conftest import ROOT, tiny_rows, tiny_settings, write_jsonl
from training.config import TrainConfig, load_config
from training.data import Item
from training.head import Head, mixed
from training.labels import judge
from training.prepare import Run, prepare
from training.replay import Replay
from training.run import train
from training.seen import made_with, recorded_parts
from training.splits import Parts
from training.write import training_record

HEAD = {"head_learning_rate": 0.02, "epochs": 3, "patience": 3}
LANGUAGES = ["ar", "bn", "de", "en", "fr", "he", "sw", "zh"]
GROOMING = "secret chats trust gifts meeting"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THEMEWATCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def corpus(tiny_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny data stand for the bundled corpus."""
    for module in (training.prepare, training.replay, training.seen):
        monkeypatch.setattr(module, "CORPUS", tiny_data)
    return tiny_data


def settings(folder: Path, encoder: Path, **changes: Any) -> TrainConfig:
    own = tiny_settings(encoder, Path("unused"), method="head", optimizer=HEAD) | {"data": []} | changes
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(own), "utf-8")
    return load_config(path)


def themes_with_grooming(folder: Path) -> str:
    themes = yaml.safe_load((ROOT / "configs" / "themes.yaml").read_text("utf-8"))
    themes["themes"].append(dict(themes["themes"][0], key="grooming", names={"en": "Grooming"}))
    path = folder / "themes.yaml"
    path.write_text(yaml.safe_dump(themes, allow_unicode=True), "utf-8")
    return str(path)


def grooming_rows(count: int, carrying: int, seed: int = 7) -> list[dict[str, Any]]:
    """Articles of which the first ``carrying`` are on the fifth theme, and nobody looked for the other four."""
    rows = tiny_rows(count, seed, ("en", "fr", "de", "es"))
    for i, row in enumerate(rows):
        if i < carrying:
            row["text"] = f"{GROOMING}. {row['text']} {GROOMING}."
        row["themes"] = ["grooming"] if i < carrying else []
    return rows


def test_a_head_retrain_is_repeatable_and_reads_the_cache(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.features import FeatureStore

    config = settings(tmp_path, tiny_encoder)
    first = train(prepare(config, [tiny_data]), tmp_path / "first")
    assert not (first.folder / "adapter").exists()
    assert first.training["metrics"]["test"]["macro_f1"]["value"] > 0.5
    assert list(cache.glob("features/*/*.safetensors"))

    def never(*_args: object) -> None:
        raise AssertionError("the encoder ran although all features are kept")

    monkeypatch.setattr(FeatureStore, "_compute", never)
    second = train(prepare(config, [tiny_data]), tmp_path / "second")
    assert second.training["metrics"] == first.training["metrics"]


def test_the_head_written_is_the_head_measured(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path, cache: Path
) -> None:
    from training.table import evaluate_items

    run = prepare(settings(tmp_path, tiny_encoder, precision="fp32"), [tiny_data])
    artifact = train(run, tmp_path / "out")
    served = evaluate_items(ThemeClassifier.load(artifact.folder, "torch"), run.parts.test)
    recorded = artifact.training["metrics"]["test"]
    assert served["macro_f1"]["value"] == pytest.approx(recorded["macro_f1"]["value"], abs=0.02)
    assert served["calibration_error"] == pytest.approx(recorded["calibration_error"], abs=0.02)


def test_weights_may_stay_near_the_starting_models(
    tiny_encoder: Path, tiny_artifact: Artifact, corpus: Path, tmp_path: Path
) -> None:
    optimizer = {"learning_rate": 1e-2, "head_learning_rate": 4e-2, "epochs": 1, "batch": 32}
    given = {"method": "lora", "start": str(tiny_artifact.folder), "replay": 0.0, "optimizer": optimizer}
    files = ("head.safetensors", "adapter/adapter_model.safetensors")
    half, whole = (
        train(prepare(settings(tmp_path, tiny_encoder, lora={"blend": n}, **given), [corpus]), tmp_path / str(n))
        for n in (0.5, 1.0)
    )
    for name in files:
        before, middle, after = (load_file(a.folder / name) for a in (tiny_artifact, half, whole))
        for key in before:
            assert torch.allclose(middle[key], (before[key] + after[key]) / 2, atol=1e-6)
    assert half.training["config"]["lora"] == {"rank": 4, "alpha": 8, "share": 1.0, "blend": 0.5}
    five = settings(tmp_path, tiny_encoder, lora={"blend": 0.5}, taxonomy=themes_with_grooming(tmp_path), **given)
    with pytest.raises(ConfigError, match="new themes have no weights to blend with"):
        train(prepare(five, [write_jsonl(tmp_path / "grooming.jsonl", grooming_rows(48, 24))]), tmp_path / "five")


def test_validation_settles_how_far_weights_go(
    tiny_encoder: Path, tiny_artifact: Artifact, corpus: Path, tmp_path: Path
) -> None:
    optimizer = {"learning_rate": 1e-2, "head_learning_rate": 4e-2, "epochs": 1, "batch": 32}
    given = {"method": "lora", "start": str(tiny_artifact.folder), "replay": 0.0, "optimizer": optimizer}

    def weights(blend: float | str) -> tuple[Artifact, dict[str, torch.Tensor]]:
        run = prepare(settings(tmp_path, tiny_encoder, lora={"blend": blend}, **given), [corpus])
        artifact = train(run, tmp_path / str(blend))
        return artifact, load_file(artifact.folder / "head.safetensors")

    settled, served = weights("auto")
    losses = settled.training["history"][-1]
    assert set(losses) == {"blend 0", "blend 0.25", "blend 0.5", "blend 0.75", "blend 1"}
    assert list(losses.values()) == sorted(losses.values())
    share = float(next(iter(losses)).removeprefix("blend "))
    expected = load_file(tiny_artifact.folder / "head.safetensors") if not share else weights(share)[1]
    for key, value in served.items():
        assert torch.allclose(value, expected[key], atol=1e-6)


def test_a_fifth_theme_from_few_articles_leaves_the_others_as_they_were(
    tiny_encoder: Path, tiny_artifact: Artifact, corpus: Path, tmp_path: Path, cache: Path
) -> None:
    data = write_jsonl(tmp_path / "grooming.jsonl", grooming_rows(24, 12))
    config = settings(
        tmp_path, tiny_encoder, taxonomy=themes_with_grooming(tmp_path), start=str(tiny_artifact.folder), pooling="mean"
    )
    run = prepare(config, [data])
    assert run.config.pooling == "attention"  # as in the starting model
    assert run.config.split.folds == 5
    assert run.config.replay == 0.3
    artifact = train(run, tmp_path / "five")
    old = list(tiny_artifact.taxonomy.keys)
    assert artifact.taxonomy.keys == (*old, "grooming")
    assert (artifact.folder / "adapter" / "adapter_model.safetensors").is_file()
    before, after = (load_file(a.folder / "head.safetensors") for a in (tiny_artifact, artifact))
    assert torch.equal(after["weight"][:4], before["weight"][:4])
    assert torch.equal(after["weight"][5:9], before["weight"][4:])
    assert {k: artifact.decisions.themes[k] for k in old} == dict(tiny_artifact.decisions.themes)
    articles = [item.article for item in run.parts.train]
    served, was = (ThemeClassifier.load(a.folder, "torch").predict(articles) for a in (artifact, tiny_artifact))
    assert all(new.scores[k] == pytest.approx(past.scores[k], abs=1e-4)
               for new, past in zip(served, was, strict=True) for k in old)  # fmt: skip
    said = [result.scores["grooming"] for result in served]
    assert min(said[:12]) > max(said[12:])
    record = artifact.training
    assert record["start"]["digest"] == tiny_artifact.digest
    assert record["replay"]["train"]["items"] == pytest.approx(
        0.3 * tiny_artifact.training["data"]["train"]["items"], 0.1
    )
    assert record["metrics"]["cross_validation"]["themes"]["grooming"]["items"] == 12
    parts = recorded_parts(artifact, [data])
    assert parts is not None
    assert len(parts.train) == 24


def test_replay_never_trains_on_what_was_held_out(
    tiny_encoder: Path, tiny_artifact: Artifact, corpus: Path, tmp_path: Path
) -> None:
    data = write_jsonl(tmp_path / "more.jsonl", tiny_rows(60, seed=3))
    run = prepare(settings(tmp_path, tiny_encoder, start=str(tiny_artifact.folder), replay=1.0), [data])
    parts = recorded_parts(tiny_artifact, [corpus])
    assert run.replay is not None
    assert parts is not None
    assert {i.text for i in run.replay.parts.train} == {i.text for i in parts.train}
    assert {i.text for i in run.replay.parts.test} == {i.text for i in parts.test}
    assert not {i.text for i in run.train} & {i.text for i in [*parts.validation, *parts.test]}
    half = prepare(settings(tmp_path, tiny_encoder, start=str(tiny_artifact.folder), replay=0.5), [data])
    assert half.replay is not None
    assert len(half.replay.parts.validation) == len(parts.validation)  # thresholds need them all
    assert {i.id for i in half.replay.parts.train} < {i.id for i in run.replay.parts.train}
    taken = write_jsonl(tmp_path / "taken.jsonl", [*tiny_rows(60, seed=3), {"text": parts.test[0].text, "themes": []}])
    with pytest.raises(DataError, match="1 articles are in the held-out part of the corpus: taken:61"):
        prepare(settings(tmp_path, tiny_encoder, start=str(tiny_artifact.folder)), [taken])


def test_lora_goes_on_from_a_model_and_masks_what_nobody_judged(
    tiny_encoder: Path, tiny_artifact: Artifact, corpus: Path, tmp_path: Path, cache: Path
) -> None:
    data = write_jsonl(tmp_path / "grooming.jsonl", grooming_rows(80, 40))
    config = settings(
        tmp_path, tiny_encoder, taxonomy=themes_with_grooming(tmp_path), start=str(tiny_artifact.folder), method="lora",
        optimizer={"learning_rate": 1e-3, "head_learning_rate": 2e-2, "epochs": 2}, replay=0.5,
    )  # fmt: skip
    artifact = train(prepare(config, [data]), tmp_path / "lora")
    assert artifact.training["config"]["lora"]["rank"] == 4
    now, before = artifact.training["metrics"], tiny_artifact.training["metrics"]["test"]
    assert now["test"]["unlabelled_pairs"] > 0
    assert now["replay_test"]["macro_f1"]["value"] > before["macro_f1"]["value"] - 0.2
    assert not list(tmp_path.glob(".lora.checkpoint"))


def test_cross_validation_is_not_for_lora(tiny_encoder: Path, tiny_data: Path, tmp_path: Path) -> None:
    config = settings(tmp_path, tiny_encoder, method="lora", split={"folds": 5})
    with pytest.raises(DataError, match=r"is for method: head; use configs/head\.yaml"):
        prepare(config, [tiny_data])


def test_eight_articles_a_theme_from_the_bare_encoder(tiny_encoder: Path, tmp_path: Path, cache: Path) -> None:
    """Every theme at once, one each, in several languages, no article without a theme."""
    rows = []
    for n, key in enumerate(load_keys()):
        picked = [row for row in tiny_rows(200, seed=n) if row["themes"] == [key]][:8]
        rows += [row | {"lang": lang} for row, lang in zip(picked, LANGUAGES, strict=True)]
    data = write_jsonl(tmp_path / "few.jsonl", rows)
    artifact = train(prepare(settings(tmp_path, tiny_encoder), [data]), tmp_path / "few")
    figures = artifact.training["metrics"]["cross_validation"]
    assert figures["items"] == 32
    assert artifact.training["data"]["test"]["items"] == 0
    for rule in artifact.decisions.themes.values():
        assert 0.02 <= rule.lower <= 0.25
        assert rule.upper >= 0.3


def load_keys() -> list[str]:
    return [t["key"] for t in yaml.safe_load((ROOT / "configs" / "themes.yaml").read_text("utf-8"))["themes"]]


def test_holding_out_few_articles_in_many_languages(tiny_encoder: Path, tmp_path: Path) -> None:
    rows = [row | {"lang": f"l{i % 20}"} for i, row in enumerate(tiny_rows(60))]
    data = write_jsonl(tmp_path / "few.jsonl", rows)
    run: Run = prepare(settings(tmp_path, tiny_encoder, method="lora"), [data])
    assert len(run.parts.validation) >= 8
    assert len(run.parts.test) >= 8
    assert {i.lang for i in run.parts.train} <= {f"l{i}" for i in range(20)}


def test_replayed_articles_among_ones_own_are_named(
    tiny_encoder: Path, tiny_artifact: Artifact, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = recorded_parts(tiny_artifact, [corpus])
    assert parts is not None
    twice = [{"id": f"own{n}", "text": i.text, "themes": list(i.themes)} for n, i in enumerate(parts.train[:4])]
    data = write_jsonl(tmp_path / "more.jsonl", [*tiny_rows(60, seed=3), *twice])
    prepare(settings(tmp_path, tiny_encoder, start=str(tiny_artifact.folder), replay=1.0), [data])
    assert "warning: 4 of your articles are replayed from the corpus, too: own0 (same text" in capsys.readouterr().err


def test_what_was_replayed_counts_as_seen(
    tiny_encoder: Path, tiny_artifact: Artifact, corpus: Path, tmp_path: Path
) -> None:
    data = write_jsonl(tmp_path / "more.jsonl", tiny_rows(60, seed=3))
    run = prepare(settings(tmp_path, tiny_encoder, start=str(tiny_artifact.folder), replay=0.5), [data])
    record = training_record(run, [], {})
    made = made_with(replace(tiny_artifact, training=record), [data])
    assert run.replay is not None
    assert {i.text for i in [*run.parts.train, *run.replay.parts.train]} <= {i.text for i in made.items}
    assert not {i.text for i in run.replay.parts.test} & {i.text for i in made.items}
    assert made.complete
    assert record["replay"]["train"]["languages"] == ["en", "fr"]
    alone = replace(tiny_artifact, training=record | {"replay": None})
    assert "tiny 0.1.0, from which it started, was trained on is unknown" in made_with(alone, [data]).missing


def test_recalibrating_uses_all_validation_articles_and_no_unlabelled_pair(
    tiny_config: Path, tiny_artifact: Artifact, tmp_path: Path
) -> None:
    from training.recalibrate import recalibrate

    model, run = tmp_path / "model", prepare(load_config(tiny_config))
    shutil.copytree(tiny_artifact.folder, model)
    again = recalibrate(run, model)
    for key, rule in tiny_artifact.decisions.themes.items():
        assert again.decisions.themes[key].threshold == pytest.approx(rule.threshold, abs=0.1)
    before = tiny_artifact.training["metrics"]["test"]["macro_f1"]["value"]
    assert again.training["metrics"]["test"]["macro_f1"]["value"] == pytest.approx(
        before, abs=0.15
    )  # by another engine
    keys = run.taxonomy.keys
    held = run.parts.validation
    wrong = [replace(i, themes=tuple(k for k in keys[:3] if k in i.themes)) for i in held]  # nobody looked for the last
    masked = replace(run, parts=replace(run.parts, validation=[judge(i, keys[:3]) for i in wrong]))
    half = recalibrate(masked, model)
    assert half.training["metrics"]["validation"]["unlabelled_pairs"] == len(held)
    assert half.decisions.themes[keys[3]] == ThemeDecision(1.0, 0.0, 0.5, 0.2, 0.8)  # nothing to tell it from
    assert {k: half.decisions.themes[k] for k in keys[:3]} == {k: again.decisions.themes[k] for k in keys[:3]}
    part = Parts(tiny_items(8), tiny_items(30), [], [])
    record = {"train": {"sha256": "other"}}
    replayed = replace(run, replay=Replay(0.3, part, [], record, ()))
    with pytest.raises(DataError, match="trained on other articles; give its own configuration, and --data"):
        recalibrate(replayed, model)
    (model / LAYOUT.manifest).chmod(0o444)
    with pytest.raises(ArtifactError, match="a registry's model never changes"):
        recalibrate(run, model)


def tiny_items(count: int) -> list[Item]:
    return [Item(str(row["id"]), str(row["text"]), tuple(row["themes"])) for row in tiny_rows(count, seed=11)]


def test_a_head_goes_part_of_the_way_but_for_new_themes() -> None:
    before, after = (Head(torch.full((6, 2), value), torch.full((3,), value)) for value in (0.0, 1.0))
    half = mixed(before, after, 0.5, fresh=(2,))
    assert half.weight.tolist() == [[0.5] * 2, [0.5] * 2, [1.0] * 2] * 2  # values, then attention
    assert half.bias.tolist() == [0.5, 0.5, 1.0]
