"""Fill the artifact's weightless graph: encoder weights, adapter merged with NumPy, optionally int8."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from model import bundled
from model.artifact import Artifact
from model.backbone import encoder_weights
from model.layout import LAYOUT

Tensors = dict[str, NDArray[np.float32]]
_CONTRIB = "com.microsoft"


def merged_weights(artifact: Artifact) -> Tensors:
    """Encoder tensors with the LoRA adapter added: ``W + alpha / rank * B A`` (Hu et al. 2021)."""
    tensors = encoder_weights(artifact.backbone)
    adapter = artifact.folder / LAYOUT.adapter
    if adapter.is_dir():
        config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        parts = load_file(adapter / "adapter_model.safetensors")
        scale = config["lora_alpha"] / config["r"]
        for name, low in parts.items():
            if not name.endswith("lora_A.weight"):
                continue
            target = name.removeprefix("base_model.model.").replace(".lora_A", "")
            high = parts[name.replace("lora_A", "lora_B")]
            tensors[target] = tensors[target] + scale * (high.astype(np.float32) @ low.astype(np.float32))
    return tensors


def fetch(recipe: str, tensors: Tensors) -> NDArray[np.float32]:
    """The tensor a graph input asks for; recipes as in ``training.graph``."""
    if recipe.startswith("positions+"):
        types = tensors["embeddings.token_type_embeddings.weight"][0]
        positions = tensors["embeddings.position_embeddings.weight"][int(recipe.partition("+")[2]) :]
        summed: NDArray[np.float32] = positions + types
        return summed
    if "|" in recipe:
        return np.concatenate([fetch(part, tensors) for part in recipe.split("|")], axis=-1)
    if recipe.endswith(".T"):
        turned: NDArray[np.float32] = np.ascontiguousarray(tensors[recipe[:-2]].T)
        return turned
    return tensors[recipe]


def fill_graph(artifact: Artifact, precision: str, path: Path) -> None:
    """Write a complete ONNX model for ``precision`` ``fp32`` or ``int8`` to ``path``."""
    model = onnx.load(str(artifact.folder / LAYOUT.graph))
    graph = model.graph
    head = load_file(artifact.folder / LAYOUT.head)["weight"].astype(np.float32)
    tensors = merged_weights(artifact) | {"head": head}
    wanted = {item.name: item.doc_string for item in graph.input if item.doc_string}
    given = [item for item in graph.input if not item.doc_string]
    del graph.input[:]
    graph.input.extend(given)
    weights: dict[str, NDArray[np.generic]] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        names = [name for name in node.input if name in wanted]
        if node.op_type == "Gather" and artifact.backbone == "bundled":
            nodes += _exact_words(node, weights)
        elif node.op_type == "MatMul" and precision == "int8" and names != ["head"]:
            nodes.append(_int8_product(node, fetch(wanted[names[0]], tensors), weights))
        else:
            weights |= {name: fetch(wanted[name], tensors) for name in names}
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    for name, value in weights.items():
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    onnx.save(model, str(path))


def _exact_words(node: onnx.NodeProto, weights: dict[str, NDArray[np.generic]]) -> list[onnx.NodeProto]:
    """Word vectors looked up as the 4-bit file has them: exact, at a quarter of the memory."""
    integers, scales = bundled.WeightFile(bundled.weight_file()).word_blocks()
    flat = np.asarray([0, 0, -1], dtype=np.int64)
    # [rows, tokens, blocks, 32] to [rows, tokens, hidden]
    weights |= {"words.q": integers, "words.s": scales, "words.flat": flat}
    ids, out = node.input[1], node.output[0]
    return [
        helper.make_node("Gather", ["words.q", ids], ["words.qi"]),
        helper.make_node("Cast", ["words.qi"], ["words.qf"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["words.s", ids], ["words.si"]),
        helper.make_node("Mul", ["words.qf", "words.si"], ["words.x"]),
        helper.make_node("Reshape", ["words.x", "words.flat"], [out]),
    ]


def _int8_product(
    node: onnx.NodeProto, weight: NDArray[np.float32], weights: dict[str, NDArray[np.generic]]
) -> onnx.NodeProto:
    """A product with int8 weights, one scale a column; activations are quantised as they come."""
    name = node.input[1]
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-8) / 127
    weights[f"{name}.q"] = np.clip(np.round(weight / scale), -127, 127).astype(np.int8)
    weights[f"{name}.s"] = scale.astype(np.float32)
    inputs = [node.input[0], f"{name}.q", f"{name}.s"]
    return helper.make_node("DynamicQuantizeMatMul", inputs, list(node.output), domain=_CONTRIB)
