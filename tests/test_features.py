"""The feature cache: right numbers, one file a window, bounded, whole after a crash or beside another process."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.errors import CacheError
from training.features import FeatureStore, trim
from training.head import Head
from training.head_fits import FeatureEngine

WINDOWS = [(0, 5, 6, 7, 2), (0, 9, 2), (0, 5, 6, 7, 8, 2)]


@pytest.fixture
def store(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    from transformers import AutoModel

    monkeypatch.setenv("THEMEWATCH_CACHE", str(tmp_path))
    return FeatureStore(AutoModel.from_pretrained(tiny_encoder, add_pooling_layer=False), "k" * 64)


def files(store: FeatureStore) -> list[Path]:
    return sorted(store.folder.iterdir())


def test_kept_features_are_the_encoders(store: FeatureStore) -> None:
    store.fill(WINDOWS, "test")
    assert len(files(store)) == 3
    for window in WINDOWS:
        exact = store._encoder(input_ids=torch.tensor([window]))[0][0]
        assert torch.allclose(store.get(window).float(), exact, atol=5e-3)
    head = Head(torch.randn(8, 32), torch.zeros(4))
    scores = FeatureEngine(store, head).token_scores(WINDOWS)
    assert [s.shape for s in scores] == [(5, 8), (3, 8), (6, 8)]
    assert np.allclose(scores[1], store.get(WINDOWS[1]).float() @ head.weight.T)


@pytest.mark.parametrize("damage", [b"", b"broken", None])
def test_a_damaged_or_missing_file_is_computed_again(store: FeatureStore, damage: bytes | None) -> None:
    store.fill(WINDOWS, "test")
    kept = store.get(WINDOWS[0])
    path = store._path(WINDOWS[0])
    path.unlink() if damage is None else path.write_bytes(damage)
    assert torch.allclose(store.get(WINDOWS[0]).float(), kept.float(), atol=5e-3)


def test_two_at_once_leave_whole_files(store: FeatureStore) -> None:
    many = [(0, *range(5, 5 + n % 20 + 1), 2) for n in range(60)]
    threads = [threading.Thread(target=store.fill, args=(many, "test")) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files(store)) == len(set(many))
    assert all(path.suffix == ".safetensors" for path in files(store))
    assert all(store.get(window).shape == (len(window), 32) for window in many)


def test_what_was_used_longest_ago_goes_first(store: FeatureStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.fill(WINDOWS, "test")
    for age, window in enumerate(WINDOWS):
        os.utime(store._path(window), (age, age))
    total = sum(path.stat().st_size for path in files(store))
    trim(store.folder.parent, total - 1, before=100)
    assert not store._path(WINDOWS[0]).exists()
    assert store._path(WINDOWS[1]).exists()
    trim(store.folder.parent, 0, before=1.5)
    assert files(store) == [store._path(WINDOWS[2])]
    assert "over the limit" in capsys.readouterr().err


def test_a_full_disk_is_told_and_leaves_no_half_file(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.features.os.replace", full)
    with pytest.raises(CacheError, match="No space left on device; free some space"):
        store.fill(WINDOWS, "test")
    assert files(store) == []
