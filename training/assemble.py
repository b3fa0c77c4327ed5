"""Join written texts with their assignments: ``python -m training.assemble RAW_DIR`` adds them to the corpus.

Writers give plain text files (``### id``, ``TITLE:``, ``TEXT:``); labels come from the plan alone, and so does the
part: ``plan/held_out.json`` names the stories held out, once and for all, so that models of different corpora compare.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from training.config import CORPUS

SOURCE = "written for this project"
_ITEM = re.compile(r"^### (\S+)[ \t]*\nTITLE:[ \t]*(.*)\nTEXT:\n", re.MULTILINE)
_FIELDS = (
    "id",
    "story",
    "lang",
    "title",
    "text",
    "themes",
    "kind",
    "genre",
    "stage",
    "length_class",
    "noise",
)


def parse(text: str) -> dict[str, tuple[str, str]]:
    """``{id: (title, text)}`` of one writer's file."""
    found = list(_ITEM.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return {
        match[1]: (match[2].strip(), text[match.end() : end].strip()) for match, end in zip(found, ends, strict=True)
    }


def assemble(raw: Path, corpus: Path) -> dict[str, int]:
    """Write ``corpus/LANG.jsonl`` from all files in ``raw`` and what stands there already; returns items by language.

    An item written again replaces the one that was there.
    """
    plan = [json.loads(line) for line in (corpus / "plan" / "plan.jsonl").open(encoding="utf-8")]
    written: dict[str, tuple[str, str]] = {}
    for file in sorted(raw.glob("*.txt")):
        written |= parse(file.read_text("utf-8"))
    corrections = corpus / "plan" / "relabelled.json"
    changed = json.loads(corrections.read_text("utf-8")) if corrections.is_file() else {}
    held = json.loads((corpus / "plan" / "held_out.json").read_text("utf-8"))
    part = {story: name for name, stories in held.items() for story in stories}
    rows: dict[str, list[dict[str, Any]]] = {}
    there = {row["id"]: row for file in sorted(corpus.glob("*.jsonl")) for row in map(json.loads, file.open("rb"))}
    for row in plan:
        if row["id"] in there and row["id"] not in written:
            rows.setdefault(row["lang"], []).append(there[row["id"]])
        elif row["id"] in written:
            title, text = written[row["id"]]
            row |= {"title": title, "text": text, "themes": changed.get(row["id"], row["themes"])}
            kept = {k: row[k] for k in _FIELDS} | {"split": part.get(row["story"], ""), "source": SOURCE}
            rows.setdefault(row["lang"], []).append(kept)
    for lang, items in rows.items():
        lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in items]
        (corpus / f"{lang}.jsonl").write_text("".join(lines), "utf-8")
    return {lang: len(items) for lang, items in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path)
    done = assemble(parser.parse_args().raw, CORPUS)
    print(f"{sum(done.values())} items:", ", ".join(f"{lang} {n}" for lang, n in done.items()))


if __name__ == "__main__":
    main()
