"""The training run: repeatable, resumable, honest about what it needs."""

from __future__ import annotations

import math
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from model.artifact import Artifact
from model.errors import ConfigError, DataError
from model.layout import LAYOUT
from tests.conftest import tiny_rows, tiny_settings, write_jsonl
from training.average import Average
from training.build import augmenter
from training.config import load_config
from training.labels import judge
from training.noise import Augmenter, Noise
from training.run import prepare, train
from training.soup import serve_best
from training.trainer import Trainer, class_weights


def _config(folder: Path, encoder: Path, data: Path, **changes: object) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(encoder, data, **changes)), "utf-8")
    return path


def test_same_seed_same_metrics(tiny_config: Path, tiny_artifact: Artifact, tmp_path: Path) -> None:
    again = train(prepare(load_config(tiny_config)), tmp_path / "again")
    assert again.training == tiny_artifact.training
    assert again.decisions == tiny_artifact.decisions


def test_an_interrupted_run_ends_as_an_undisturbed_one(
    tiny_config: Path, tiny_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, count = Trainer._step, {"steps": 0}

    def interrupted(self: Trainer, *args: object) -> float:
        count["steps"] += 1
        if count["steps"] == 32:
            raise KeyboardInterrupt
        return step(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_step", interrupted)
    run = prepare(load_config(tiny_config))
    with pytest.raises(KeyboardInterrupt):
        train(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    artifact = train(run, tmp_path / "out")
    assert count["steps"] < 2 * 32 + 90
    assert artifact.training["metrics"] == tiny_artifact.training["metrics"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_average_goes_on(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"epochs": 3, "batch": 16, "average": 0.9}
    run = prepare(load_config(_config(tmp_path, tiny_encoder, tiny_data, optimizer=settings)))
    whole = train(run, tmp_path / "whole")
    assert {"macro_f1", "average_macro_f1"} <= set(whole.training["history"][0])
    update = Average.update

    def interrupted(self: Average, step: int) -> None:
        update(self, step)
        if step == 27:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Average, "update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(run, tmp_path / "out")
    again = train(run, tmp_path / "out")
    assert again.training["metrics"] == whole.training["metrics"]
    assert [h.get("average_macro_f1") for h in again.training["history"]] == [
        h.get("average_macro_f1") for h in whole.training["history"]
    ]


def test_two_runs_are_averaged_and_go_on_after_an_interruption(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _config(tmp_path, tiny_encoder, tiny_data, runs=2, optimizer={"epochs": 2, "batch": 16})
    run = prepare(load_config(path))
    whole = train(run, tmp_path / "whole")
    *epochs, soup, words = whole.training["history"]
    assert [(row["run"], row["epoch"]) for row in epochs] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert epochs[0]["loss"] != epochs[2]["loss"]  # another order
    assert set(soup) == {"run 1", "run 2", "average"}
    assert "linear part 0" in words
    step, taken = Trainer._step, []

    def interrupted(self: Trainer, *args: object) -> float:
        taken.append(1)
        if len(taken) == 40:  # in the second run
            raise KeyboardInterrupt
        return step(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(run, tmp_path / "out")
    assert len(list(tmp_path.glob(".out.checkpoint*"))) == 2
    renamed = replace(run, config=run.config.model_copy(update={"version": "9.9"}))
    assert train(renamed, tmp_path / "out").training["metrics"] == whole.training["metrics"]
    assert len(taken) < 40 + 4 * math.ceil(len(run.train) / 16)  # not from the beginning
    assert not list(tmp_path.glob(".out.checkpoint*"))


def test_a_share_of_the_adapter_is_served(tiny_encoder: Path, tiny_data: Path, tmp_path: Path) -> None:
    settings = {"rank": 4, "alpha": 8}
    made = []
    for share in (1.0, 0.5):
        path = _config(tmp_path, tiny_encoder, tiny_data, lora={**settings, "share": share}, optimizer={"epochs": 1})
        folder = train(prepare(load_config(path)), tmp_path / f"out{share}").folder / LAYOUT.adapter
        made.append(load_file(folder / "adapter_model.safetensors"))
    whole, half = made
    for name, value in whole.items():
        expected = value * 0.5 if "lora_B" in name else value
        assert torch.equal(half[name], expected), name


def test_a_soup_serves_the_better(capsys: pytest.CaptureFixture[str]) -> None:
    parameters = {"w": torch.nn.Parameter(torch.zeros(1))}
    runs = [{"w": torch.tensor([1.0])}, {"w": torch.tensor([3.0])}]
    near = serve_best(parameters, runs, lambda: 1 - abs(2.2 - parameters["w"].item()))
    assert parameters["w"].item() == 2.0
    assert near == pytest.approx({"run 1": -0.2, "run 2": 0.2, "average": 0.8})
    serve_best(parameters, runs, lambda: parameters["w"].item())
    assert parameters["w"].item() == 3.0
    assert "run 2 is served" in capsys.readouterr().err


def test_the_average_starts_at_the_weights_and_forgets_them() -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    average = Average({"w": weight}, 0.5)
    weight.data.fill_(1.0)
    average.update(1)
    assert average.weights["w"].tolist() == pytest.approx([9 / 11] * 3)  # 2 / 11 kept at the first step
    with average.applied():
        assert weight.tolist() == pytest.approx([9 / 11] * 3)
    assert weight.tolist() == [1.0] * 3
    for step in range(2, 40):
        average.update(step)
    assert average.weights["w"].tolist() == pytest.approx([1.0] * 3)


def test_a_full_disk_leaves_nothing_behind(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path, tiny_encoder, tiny_data, optimizer={"epochs": 1})

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.write.save_head", full)
    with pytest.raises(OSError, match="No space left"):
        train(prepare(load_config(config)), tmp_path / "models" / "out")
    assert [p.name for p in (tmp_path / "models").iterdir() if not p.name.endswith(".checkpoint")] == []


def test_head_only_training_needs_no_adapter(tiny_encoder: Path, tiny_data: Path, tmp_path: Path) -> None:
    config = _config(tmp_path, tiny_encoder, tiny_data, method="head", pooling="mean")
    artifact = train(prepare(load_config(config)), tmp_path / "head")
    assert not (artifact.folder / "adapter").exists()
    config = _config(tmp_path, tiny_encoder, tiny_data, method="head")
    with pytest.raises(ConfigError, match="a head is trained once"):
        train(prepare(load_config(config, runs=2)), tmp_path / "head")


def test_a_fifth_theme_needs_no_code(tiny_encoder: Path, tmp_path: Path, taxonomy: object) -> None:
    themes = yaml.safe_load((Path(__file__).parent.parent / "configs" / "themes.yaml").read_text("utf-8"))
    themes["themes"].append(dict(themes["themes"][0], key="grooming", names={"en": "Grooming"}))
    (tmp_path / "themes.yaml").write_text(yaml.safe_dump(themes, allow_unicode=True), "utf-8")
    rows = tiny_rows(160)
    for row in rows[::4]:
        row["text"] = f"{row['text']} team minister market rain match."
        row["themes"] = [*row["themes"], "grooming"]
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    config = _config(tmp_path, tiny_encoder, data, taxonomy=str(tmp_path / "themes.yaml"), optimizer={"epochs": 1})
    artifact = train(prepare(load_config(config)), tmp_path / "five")
    assert artifact.taxonomy.keys[-1] == "grooming"
    assert "grooming" in artifact.training["metrics"]["test"]["themes"]


def test_data_without_any_theme_are_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    rows = [row | {"themes": []} for row in tiny_rows(40)]
    config = _config(tmp_path, tiny_encoder, write_jsonl(tmp_path / "d.jsonl", rows))
    with pytest.raises(DataError, match="none of the 40 articles carries a theme"):
        prepare(load_config(config))


def test_augmentation_is_seeded_and_keeps_themed_leads(tiny_config: Path) -> None:
    run = prepare(load_config(tiny_config))
    noise = Noise.load([("en", "Other headline")], "train")
    settings = run.config.augment.model_copy(update=dict.fromkeys(run.config.augment.model_fields_set, 1.0))
    first, second = (Augmenter(settings, noise, 1) for _ in range(2))
    changed = 0
    for item in run.parts.train[:20]:
        a, b = (f(item.article, "en", True, epoch=0) for f in (first, second))
        assert a == b
        changed += a != item.article
        assert first(item.article, "en", True, epoch=1).text.strip()
    assert changed


def test_other_articles_may_stand_around_one(tiny_config: Path) -> None:
    run = prepare(load_config(tiny_config))
    augment = augmenter(run)
    plain = [(item.lang, item.article) for item in run.train if not item.themes]
    noise = Noise.load([], "train", plain)
    one = next(item for item in run.train if item.themes)
    changed = [noise.others(one.article, one.lang, random.Random(seed)) for seed in range(20)]
    assert all(one.text in each.text and each.title == one.title and len(each.text) > len(one.text) for each in changed)
    own = {article.full_text for lang, article in plain if lang == one.lang}
    assert all(any(text in each.text for text in own) for each in changed)
    assert noise.others(one.article, "xx", random.Random(0)).text == one.text, "no plain article of its language"
    item = next(item for item in run.train if not item.themes)
    assert noise.others(item.article, item.lang, random.Random(1)).text.count(item.text) == 1, "never twice the same"
    themes = {item.text: item.themes for item in run.train}
    assert not any(themes[a.text] for articles in augment._noise.plain.values() for a in articles)
    unsure = replace(run, parts=replace(run.parts, train=[judge(item, ()) for item in run.parts.train]))
    assert not augmenter(unsure)._noise.plain, "what nobody judged is no plain article"


def test_class_weights_come_from_the_data(tiny_config: Path) -> None:
    items = prepare(load_config(tiny_config)).parts.train
    weights = class_weights(items, ("sextortion",), exponent=1.0)
    positives = sum("sextortion" in i.themes for i in items)
    assert weights.tolist() == [pytest.approx((len(items) - positives) / positives)]
    assert torch.equal(class_weights(items, ("sextortion",), 0.0), torch.ones(1))
    unjudged = [judge(i, ()) if "sextortion" not in i.themes else i for i in items]
    unjudged[:1] = [judge(items[0], ("sextortion",))]
    assert class_weights(unjudged, ("sextortion",), exponent=1.0).item() == 1.0, "what nobody judged is no 'no'"


def test_checkpoints_of_another_run_are_not_used(tiny_config: Path, tmp_path: Path) -> None:
    from training.checkpoint import Checkpoint

    Checkpoint(tmp_path / "c", "one").folder.mkdir()
    (tmp_path / "c" / "state.json").write_text('{"identity": "one", "file:last": "x"}')
    assert Checkpoint(tmp_path / "c", "other").resume() == {}
    shutil.rmtree(tmp_path / "c", ignore_errors=True)


def test_windows_longer_than_the_encoder_reads_are_refused(tiny_encoder: Path, tiny_data: Path, tmp_path: Path) -> None:
    path = _config(tmp_path, tiny_encoder, tiny_data, windows={"size": 96, "overlap": 8})
    with pytest.raises(ConfigError, match=r"windows\.size is 96 tokens, and the encoder reads 80.* use 64 or fewer"):
        train(prepare(load_config(path)), tmp_path / "out")
