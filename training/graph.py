"""The network as an ONNX graph without weights: written once at training, filled on each user's machine.

Covers the post-norm encoders (BERT, XLM-R and their like). Tensors that must come from elsewhere are
graph inputs here, named as in the encoder's state dict, with how to get them in ``doc_string``:
``NAME``, ``NAME.T`` (transposed) or ``A.T|B.T|C.T`` (side by side). Operators of ONNX Runtime's own
domain do in one pass what would take many: attention, skip + layer norm, bias + GELU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

SUPPORTED = ("bert", "roberta", "xlm-roberta")
_OPSET, _CONTRIB = 18, "com.microsoft"


class _Builder:
    """Collects nodes and the weights they need."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.ValueInfoProto] = []

    def weight(self, name: str, recipe: str, shape: list[int | str]) -> str:
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        info.doc_string = recipe
        self.weights.append(info)
        return name

    def node(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes))
        return output


def export_graph(config: dict[str, Any], width: int, path: Path) -> bool:
    """Write the graph of an encoder ``config`` with a head of ``width`` outputs; False if unsupported.

    Graph: ``input_ids`` int64 ``[rows, tokens]`` and ``lengths`` int32 ``[rows]`` (tokens before
    padding) to ``scores`` float32 ``[rows, tokens, width]``.
    """
    if config.get("model_type") not in SUPPORTED or config.get("hidden_act", "gelu") != "gelu":
        return False
    if config.get("position_embedding_type", "absolute") != "absolute":
        return False
    hidden, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    epsilon, heads = float(config["layer_norm_eps"]), int(config["num_attention_heads"])
    b = _Builder()
    state = _embeddings(b, config, hidden, epsilon)
    for layer in range(int(config["num_hidden_layers"])):
        state = _layer(b, state, f"encoder.layer.{layer}", hidden, inner, heads, epsilon)
    b.weight("head", "head.T", [hidden, width])
    b.node("MatMul", [state, "head"], "scores")
    graph = helper.make_graph(
        b.nodes, "themewatch",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["rows", "tokens"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["rows"]),
            *b.weights,
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", "tokens", width])],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="themewatch")
    onnx.save(model, str(path))
    return True


def _embeddings(b: _Builder, config: dict[str, Any], hidden: int, epsilon: float) -> str:
    """Word + position + type, normalised. Positions count from after the padding id in RoBERTas."""
    skip = 0 if config["model_type"] == "bert" else int(config["pad_token_id"]) + 1
    b.weight("words", "embeddings.word_embeddings.weight", ["vocabulary", hidden])
    b.weight("positions", f"positions+{skip}", ["positions", hidden])
    b.node("Gather", ["words", "input_ids"], "word_vectors")
    b.node("Shape", ["input_ids"], "count", start=1, end=2)
    zero = helper.make_tensor("zero", TensorProto.INT64, [1], [0])
    b.nodes.append(helper.make_node("Constant", [], ["zero"], value=zero))
    b.node("Slice", ["positions", "zero", "count", "zero"], "position_vectors")
    b.node("Add", ["word_vectors", "position_vectors"], "embedded")
    names = [b.weight(f"embeddings.LayerNorm.{n}", f"embeddings.LayerNorm.{n}", [hidden]) for n in ("weight", "bias")]
    return b.node("LayerNormalization", ["embedded", *names], "state", epsilon=epsilon)


def _layer(b: _Builder, state: str, name: str, hidden: int, inner: int, heads: int, epsilon: float) -> str:
    attention, short = f"{name}.attention", name.replace("encoder.layer.", "l")

    def bias(part: str) -> str:
        size = inner if part == "intermediate.dense" else hidden
        return b.weight(f"{name}.{part}.bias", f"{name}.{part}.bias", [size])

    def product(x: str, part: str, shape: list[int | str]) -> str:
        b.weight(f"{name}.{part}.weight", f"{name}.{part}.weight.T", shape)
        return b.node("MatMul", [x, f"{name}.{part}.weight"], f"{short}.{part}")

    parts = ("query", "key", "value")
    b.weight(f"{name}.qkv", "|".join(f"{attention}.self.{p}.weight.T" for p in parts), [hidden, 3 * hidden])
    b.weight(f"{name}.qkv.bias", "|".join(f"{attention}.self.{p}.bias" for p in parts), [3 * hidden])
    b.node("MatMul", [state, f"{name}.qkv"], f"{short}.qkv")
    split = [f"{short}.{p}" for p in parts]
    b.nodes.append(helper.make_node("Split", [f"{short}.qkv"], split, name=f"{short}.split", axis=2, num_outputs=3))
    # the attention operator adds the bias itself
    b.node("MultiHeadAttention", [*split, f"{name}.qkv.bias", "lengths"], f"{short}.context", _CONTRIB, num_heads=heads)
    out = product(f"{short}.context", "attention.output.dense", [hidden, hidden])
    middle = _skip_norm(b, state, out, f"{name}.attention.output", bias("attention.output.dense"), hidden, epsilon)
    wide = product(middle, "intermediate.dense", [hidden, inner])
    active = b.node("BiasGelu", [wide, bias("intermediate.dense")], f"{short}.gelu", _CONTRIB)
    narrow = product(active, "output.dense", [inner, hidden])
    return _skip_norm(b, middle, narrow, f"{name}.output", bias("output.dense"), hidden, epsilon)


def _skip_norm(b: _Builder, state: str, x: str, name: str, bias: str, hidden: int, epsilon: float) -> str:
    norms = [b.weight(f"{name}.LayerNorm.{n}", f"{name}.LayerNorm.{n}", [hidden]) for n in ("weight", "bias")]
    inputs = [x, state, *norms, bias]
    return b.node("SkipLayerNormalization", inputs, f"{name}.out", _CONTRIB, epsilon=epsilon)
