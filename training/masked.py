"""The training loop where some (article, theme) pairs are unlabelled (see ``training.labels``)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.windows import Encoded
from training.data import Item
from training.labels import label_mask
from training.trainer import Trainer, article_logits


class MaskedTrainer(Trainer):
    """A ``Trainer`` whose loss leaves unlabelled pairs out."""

    def _loss(self, part: list[tuple[Encoded, Item]], weight: Tensor) -> Tensor:
        """Weighted binary cross-entropy, mean over labelled pairs."""
        smooth = self.config.optimizer.label_smoothing
        truth = torch.tensor([[float(k in i.themes) for k in self.keys] for _, i in part])  # [articles, themes]
        truth = (truth * (1 - 2 * smooth) + smooth).to(self.device)
        mask = torch.from_numpy(label_mask([i for _, i in part], self.keys)).float().to(self.device)
        with torch.autocast(self.device, dtype=self.dtype or torch.bfloat16, enabled=self.dtype is not None):
            logits = article_logits(self.network, [e for e, _ in part], self.windower.lead, self.device, self.packed)
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits.float(), truth, pos_weight=weight, reduction="none"
        )
        return (loss * mask).sum() / mask.sum().clamp(min=1)
