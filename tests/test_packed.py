"""Packed training: the same logits and gradients as with padding."""

from __future__ import annotations

from pathlib import Path

import torch

from model.network import ThemeConfig, ThemeNetwork
from model.text import Article
from model.windows import WindowConfig, Windower
from tests.conftest import tiny_rows
from training.packed import can_pack, pack, unpack
from training.trainer import article_logits


def test_packed_windows_give_the_same_logits_and_gradients(tiny_encoder: Path) -> None:
    torch.manual_seed(1)
    network = ThemeNetwork.from_backbone(
        ThemeConfig(backbone=f"path:{tiny_encoder}", pooling="attention", lead=1, id2label={0: "a", 1: "b"})
    )
    assert can_pack(network, "cpu")
    assert not can_pack(network, "cuda")
    windower = Windower.from_folder(tiny_encoder, WindowConfig(size=32, overlap=8, limit=4))
    articles = [Article(str(row["text"]) * (1 + n % 3)) for n, row in enumerate(tiny_rows(6, seed=5))]
    encoded = [windower.encode(article) for article in articles]
    assert len({len(window) for item in encoded for window in item.windows}) > 1
    logits, gradients = [], []
    for packed in (False, True):
        if packed:
            pack(network)
        network.zero_grad()
        answer = article_logits(network, encoded, windower.lead, "cpu", packed)
        answer.pow(2).sum().backward()
        logits.append(answer.detach())
        gradients.append({n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None})
    unpack(network)
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-5)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        difference = float((gradient - gradients[1][name]).norm())
        assert difference <= 1e-3 * float(gradient.norm()) + 1e-6, name
    again = article_logits(network, encoded, windower.lead, "cpu")
    torch.testing.assert_close(again.detach(), logits[0], rtol=1e-4, atol=1e-5)
