"""The reference engine: the network in PyTorch; on CUDA in bf16 where there is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.artifact import Artifact
from model.engines.base import batches, padded
from model.network import ThemeNetwork

_BUDGET = 4096  # padded tokens a batch


class TorchEngine:
    """Runs a ``ThemeNetwork`` as it is."""

    name = "torch"

    def __init__(self, network: ThemeNetwork, device: str | None = None, dtype: torch.dtype | None = None) -> None:
        """``dtype`` of the products: float32 on a processor and bf16 on CUDA unless given."""
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = dtype or (torch.bfloat16 if self.device.startswith("cuda") else torch.float32)
        self.network = network.to(self.device).eval()  # type: ignore[arg-type]

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> TorchEngine:
        return cls(ThemeNetwork.from_pretrained(artifact.folder))

    def token_scores(self, windows: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        out: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(windows)
        self.network.eval()  # in training it is asked between steps, and dropout has no part in an answer
        kind, lower = self.device.partition(":")[0], self.dtype is not torch.float32
        for group in batches([len(w) for w in windows], _BUDGET):
            ids, mask = padded_tensors([windows[i] for i in group], self.device)
            with (
                torch.inference_mode(),
                torch.autocast(kind, dtype=self.dtype if lower else torch.bfloat16, enabled=lower),
            ):
                scores = self.network.token_scores(ids, mask)
            for row, index in enumerate(group):
                out[index] = scores[row, : len(windows[index])].float().cpu().numpy()
        return out

    def bias(self) -> NDArray[np.float32]:
        bias: NDArray[np.float32] = self.network.bias.detach().float().cpu().numpy()
        return bias


def padded_tensors(windows: Sequence[Sequence[int]], device: str) -> tuple[Tensor, Tensor]:
    """Ids and attention mask, int64 ``[windows, tokens]``, of windows side by side."""
    ids, lengths = padded(windows)
    mask = np.arange(ids.shape[1])[None, :] < lengths[:, None]
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask.astype(np.int64)).to(device)
