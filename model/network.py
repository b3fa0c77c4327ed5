"""The network: a Transformers encoder, LoRA, and one linear head that scores every token.

Registered with the Auto classes, so an artifact folder loads with
``AutoModelForSequenceClassification.from_pretrained(folder)`` after ``import model``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from model.backbone import resolve_backbone
from model.layout import LAYOUT
from model.pooling import contributions, head_width


class ThemeConfig(PretrainedConfig):
    """Configuration of the network; ``backbone`` is a spec for ``resolve_backbone``."""

    model_type = "themewatch"

    def __init__(
        self,
        backbone: str = "bundled",
        backbone_config: dict[str, Any] | None = None,
        pooling: str = "mean",
        lead: int = 0,
        head_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.backbone = backbone
        self.backbone_config = backbone_config or {}
        self.pooling = pooling
        self.lead = lead  # tokens before the content: specials and prefix
        self.head_dropout = head_dropout
        super().__init__(**kwargs)


class ThemeNetwork(PreTrainedModel):
    """Scores themes: ``logits[b, k]`` is theme ``k``'s logit for row ``b``."""

    config_class = ThemeConfig
    base_model_prefix = "encoder"
    config: ThemeConfig

    def __init__(self, config: ThemeConfig, encoder: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        spec = dict(config.backbone_config)
        self.encoder: Any = encoder or AutoModel.from_config(AutoConfig.for_model(spec.pop("model_type"), **spec))
        hidden, themes = int(self.encoder.config.hidden_size), int(config.num_labels or 0)
        self.dropout = nn.Dropout(config.head_dropout)
        self.head = nn.Linear(hidden, head_width(config.pooling, themes), bias=False)
        self.bias = nn.Parameter(torch.zeros(themes))
        nn.init.normal_(self.head.weight, std=0.02)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: weights are set in ``__init__`` or loaded."""

    @classmethod
    def from_backbone(cls, config: ThemeConfig) -> ThemeNetwork:
        """A network on the encoder ``config.backbone``, with a fresh head and no dropout inside.

        Dropout in the encoder keeps attention off its fused path and halves training speed on a
        processor; augmentation, head dropout and early stopping regularise instead.
        """
        folder = resolve_backbone(config.backbone)
        encoder = AutoModel.from_pretrained(
            folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            add_pooling_layer=False, dtype=torch.float32,
        )  # fmt: skip
        config.backbone_config = encoder.config.to_diff_dict() | {"model_type": encoder.config.model_type}
        return cls(config, encoder)

    @classmethod
    def from_pretrained(cls, folder: Any, *_args: Any, **kwargs: Any) -> ThemeNetwork:  # type: ignore[override]
        """Load an artifact folder: encoder from its backbone, adapter merged, head put on."""
        from peft import PeftModel

        path = Path(folder)
        config = kwargs.get("config") or ThemeConfig.from_pretrained(path)
        network = cls.from_backbone(config)
        if (path / LAYOUT.adapter / "adapter_config.json").is_file():
            tuned = PeftModel.from_pretrained(network.encoder, str(path / LAYOUT.adapter))
            network.encoder = cast(Any, tuned).merge_and_unload()
        head = load_file(path / LAYOUT.head)
        with torch.no_grad():
            network.head.weight.copy_(head["weight"].float())
            network.bias.copy_(head["bias"].float())
        network.train(False)
        return network

    def token_scores(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Head outputs per token: ``[rows, tokens]`` ids to float32 ``[rows, tokens, width]``."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        return cast(Tensor, self.head(self.dropout(hidden)).float())

    def pool(self, scores: list[Tensor], weights: list[Tensor], spans: list[list[tuple[int, int]]]) -> Tensor:
        """Logits ``[articles, themes]`` from each article's entries (see ``model.pooling``)."""
        pooling = self.config.pooling
        rows = [contributions(torch, pooling, s, w, p).sum(0) for s, w, p in zip(scores, weights, spans, strict=True)]
        return torch.stack(rows) + self.bias

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **_unused: Any,
    ) -> SequenceClassifierOutput:
        """One row is one article of one window: ``<s> prefix content </s>``, padded right.

        Args:
            input_ids: int64 ``[rows, tokens]``.
            attention_mask: int64 ``[rows, tokens]``, 0 for padding.
            labels: float ``[rows, themes]``, 0 or 1; gives ``loss`` (mean binary cross-entropy).
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        scores = self.token_scores(input_ids, mask)
        lead = self.config.lead
        parts = [row[lead : int(m.sum()) - 1] for row, m in zip(scores, mask, strict=True)]
        weights = [part.new_ones(len(part)) for part in parts]
        logits = self.pool(parts, weights, [[(0, len(part))] for part in parts])
        loss = None
        if labels is not None:
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.float())
        return SequenceClassifierOutput(loss=loss, logits=logits)


def register() -> None:
    """Make the Auto classes know artifact folders. Safe to call twice."""
    AutoConfig.register(ThemeConfig.model_type, ThemeConfig, exist_ok=True)
    AutoModelForSequenceClassification.register(ThemeConfig, ThemeNetwork, exist_ok=True)


def save_head(network: ThemeNetwork, path: Path) -> None:
    """Write head and bias as safetensors (fp32: a few kilobytes)."""
    from safetensors.torch import save_file

    save_file({"weight": network.head.weight.detach().contiguous(),
               "bias": network.bias.detach().contiguous()}, path)  # fmt: skip


def save_adapter(encoder: Any, folder: Path) -> None:
    """Write the LoRA adapter, without the machine's own paths in its configuration."""
    encoder.save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text("utf-8"))
    config["base_model_name_or_path"] = None
    path.write_text(json.dumps(config, indent=1, sort_keys=True), "utf-8")


register()
