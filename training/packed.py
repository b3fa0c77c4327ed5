"""Windows laid end to end instead of padded, and attention within each: faster training on a processor.

PyTorch's fused attention on processors is slow for narrow heads in bf16; plain products, one window at a
time, stay in the cache. The idea of packing without cross-attention is that of FlashAttention's
variable-length form (Dao 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from model.network import ThemeNetwork

NAME = "themewatch_packed"
_FIRST_POSITION = {"bert": 0, "roberta": None, "xlm-roberta": None}  # None: the one after the padding id


def can_pack(network: ThemeNetwork, device: str) -> bool:
    """Whether windows of this network may be packed: absolute positions, trained on a processor."""
    return device == "cpu" and network.config.backbone_config.get("model_type") in _FIRST_POSITION


def pack(network: ThemeNetwork) -> None:
    """Make the encoder attend within windows only; call once before training, ``unpack`` after it."""
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, lambda *_args, **_kwargs: None)
    _encoder(network).set_attn_implementation(NAME)


def unpack(network: ThemeNetwork) -> None:
    """Back to PyTorch's own attention."""
    _encoder(network).set_attn_implementation("sdpa")


def packed_scores(network: ThemeNetwork, windows: Sequence[Sequence[int]]) -> list[Tensor]:
    """Head outputs of each window's tokens, float32 ``[tokens, width]`` each, as ``ThemeNetwork.token_scores``."""
    lengths = [len(window) for window in windows]
    spec = network.config.backbone_config
    first = _FIRST_POSITION[spec["model_type"]]
    start = int(spec.get("pad_token_id", 1)) + 1 if first is None else first
    ids = torch.tensor([[token for window in windows for token in window]])  # [1, tokens of all windows]
    positions = torch.cat([torch.arange(start, start + length) for length in lengths])[None]
    hidden = network.encoder(input_ids=ids, position_ids=positions, lengths=lengths)[0]
    scores = network.head(network.dropout(hidden)).float()[0]
    return list(scores.split(lengths))


def _encoder(network: ThemeNetwork) -> Any:
    inner = network.encoder
    return inner.get_base_model() if hasattr(inner, "get_base_model") else inner


def _attention(
    _module: nn.Module, query: Tensor, key: Tensor, value: Tensor, _mask: Tensor | None,
    *, scaling: float, lengths: Sequence[int], **_unused: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attention over ``[1, heads, tokens, size]``, window by window; returns ``[1, tokens, heads, size]``."""
    out = []
    with torch.autocast("cpu", enabled=False):  # softmax in the products' own precision
        for q, k, v in zip(*(x[0].split(list(lengths), dim=1) for x in (query * scaling, key, value)), strict=True):
            weights = torch.bmm(q, k.transpose(1, 2)).softmax(-1)  # [heads, window, window]
            out.append(torch.bmm(weights, v).transpose(0, 1))
    return torch.cat(out)[None], None
