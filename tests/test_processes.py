"""Training by two processes, started as a user would, and TensorBoard's curves."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from model.artifact import Artifact
from model.errors import ConfigError, MissingExtraError
from model.layout import LAYOUT
from tests.conftest import tiny_settings
from training.config import load_config
from training.processes import Processes
from training.run import prepare, train
from training.tracking import open_log

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def _config(folder: Path, encoder: Path, data: Path, **changes: Any) -> Path:
    path = folder / "config.yaml"
    settings = tiny_settings(encoder, data, head_dropout=0.0, optimizer={"epochs": 2, "batch": 15}, **changes)
    path.write_text(yaml.safe_dump(settings), "utf-8")
    return path


def test_two_processes_train_what_one_does(tiny_encoder: Path, tiny_data: Path, tmp_path: Path) -> None:
    config = _config(tmp_path, tiny_encoder, tiny_data)
    alone = train(prepare(load_config(config)), tmp_path / "alone")
    command = [*TORCHRUN, "-m", "model.main", "train", str(config), "--out", str(tmp_path / "two")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("model written to") == 1
    two = Artifact.load(tmp_path / "two")
    for figures, same in zip(two.training["history"], alone.training["history"], strict=True):
        if "epoch" in same:  # what follows are the linear part's losses
            assert figures["macro_f1"] == pytest.approx(same["macro_f1"], abs=0.02)
    one, other = (load_file(a.folder / LAYOUT.head)["weight"].float() for a in (alone, two))
    assert torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.999
    assert not list(tmp_path.glob(".*.checkpoint"))


def test_a_process_alone_needs_no_others() -> None:
    alone = Processes.join()
    assert (alone.rank, alone.count, alone.first) == (0, 1, True)
    assert alone.share([1, 2, 3]) == [1, 2, 3]
    assert alone.told(lambda: {"macro_f1": 0.5}) == {"macro_f1": 0.5}
    alone.wait()
    alone.leave()


def test_every_item_is_in_one_share() -> None:
    shares = [Processes(rank, 3).share(range(8)) for rank in range(3)]
    assert sorted(item for share in shares for item in share) == list(range(8))


def test_several_processes_train_no_head(
    tiny_encoder: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "join", classmethod(lambda cls: cls(0, 2)))
    monkeypatch.setattr(Processes, "leave", lambda self: None)
    run = prepare(load_config(_config(tmp_path, tiny_encoder, tiny_data, method="head")))
    with pytest.raises(ConfigError, match="one process"):
        train(run, tmp_path / "out")


def test_curves_are_written_when_asked_for(tiny_encoder: Path, tiny_data: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(prepare(load_config(_config(tmp_path, tiny_encoder, tiny_data))), tmp_path / "out", tmp_path / "curves")
    read = EventAccumulator(str(tmp_path / "curves"))
    read.Reload()
    names = set(read.Tags()["scalars"])
    assert {"training/loss", "validation/macro_f1", "test/macro_f1"} <= names
    assert [point.step for point in read.Scalars("training/loss")] == list(
        range(1, len(read.Scalars("training/loss")) + 1)
    )


def test_without_tensorboard_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    imported = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"themewatch\[track\]"):
        open_log(tmp_path)
