"""Draw the corpus plan: every assignment is fixed by a seed before anything is written.

``python -m training.plan`` writes ``training/corpus/plan/plan.jsonl`` from ``grid.yaml`` and the later waves
(``wave*.yaml``: keys that replace those of the grid; ids go on where the last wave stopped);
``python -m training.plan --briefs DIR`` also renders one writer's brief per language unit.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

PLAN_DIR = Path(__file__).parent / "corpus" / "plan"


def _cycle(rng: random.Random, values: list[Any]) -> Iterator[Any]:
    """Endless draws that use every value once before any value comes again."""
    while True:
        deck = list(values)
        rng.shuffle(deck)
        yield from deck


def _length_cycle(rng: random.Random, classes: dict[str, Any]) -> Iterator[str]:
    deck = [name for name, spec in classes.items() for _ in range(round(spec["share"] * 20))]
    return _cycle(rng, deck)


def _kinds(
    rng: random.Random, grid: dict[str, Any], quotas: dict[str, int], decks: dict[str, Any]
) -> list[dict[str, Any]]:
    """The kind, themes and subject of each item of one unit, in random order."""
    items: list[dict[str, Any]] = []
    for theme in grid["angles"]:
        for _ in range(quotas["theme"]):
            items.append({"kind": "theme", "themes": [theme], "subject": next(decks[theme])})
    for _ in range(quotas["several"]):
        themes = next(decks["several"])
        angle = next(decks[rng.choice(themes)])
        items.append({"kind": "several", "themes": themes, "subject": f"for one side of it: {angle}"})
    for _ in range(quotas["neighbour"]):
        near = next(decks["neighbour"])
        items.append({"kind": "neighbour", "themes": [], "near": near["near"], "subject": near["what"]})
    for _ in range(quotas["general"]):
        items.append({"kind": "general", "themes": [], "subject": next(decks["general"])})
    for _ in range(quotas["noise"]):
        items.append({"kind": "noise", "themes": [], "subject": next(decks["noise_only"])})
    rng.shuffle(items)
    return items


def draw(grid: dict[str, Any], before: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """One wave: one dict per item, deterministic in ``grid["seed"]``; ids and units go on after those ``before``."""
    plan: list[dict[str, Any]] = []
    numbers = Counter(row["lang"] for row in before)
    drawn = {row["lang"]: row["unit"] for row in before}
    languages = {**grid["units"], **dict.fromkeys(grid["unseen"], 1)}
    for lang, units in languages.items():
        rng = random.Random(f"{grid['seed']}:{lang}")
        decks: dict[str, Any] = {t: _cycle(rng, a) for t, a in grid["angles"].items()}
        decks["several"] = _cycle(rng, grid["several"])
        decks["neighbour"] = _cycle(rng, grid["neighbours"])
        decks["general"] = _cycle(rng, grid["general_topics"])
        decks["noise_only"] = _cycle(rng, grid["noise_only"])
        genres, stages = _cycle(rng, grid["genres"]), _cycle(rng, grid["stages"])
        naming, forms = _cycle(rng, grid["naming"]), _cycle(rng, grid["forms"])
        noises, places = _cycle(rng, grid["noise_kinds"]), _cycle(rng, grid["places"][lang])
        lengths = _length_cycle(rng, grid["length_classes"])
        number, first = numbers[lang], drawn.get(lang, 0) + 1
        for unit in range(first, first + units):
            quotas = grid["unseen_quotas" if lang in grid["unseen"] else "quotas"]
            for item in _kinds(rng, grid, quotas, decks):
                number += 1
                far = rng.random() < grid["far_place_share"]
                length = next(lengths)
                row = {
                    "id": f"{lang}-{number:04d}", "story": f"{lang}-{number:04d}", "lang": lang,
                    "unit": unit, **item, "genre": next(genres), "stage": next(stages),
                    "place": "a far-off country, seen from " + next(places) if far else next(places),
                    "naming": next(naming), "length_class": length, "form": next(forms),
                    "noise": next(noises) if rng.random() < grid["noise_share"] else "",
                }  # fmt: skip
                if length == "very_long" and item["themes"]:
                    row["position"] = rng.choice(grid["positions"])
                plan.append(row)
    _add_shared_stories(plan, grid)
    return plan


def draw_all(folder: Path = PLAN_DIR) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The whole plan, wave after wave, and the length classes of all waves."""
    grid = yaml.safe_load((folder / "grid.yaml").read_text("utf-8"))
    plan, lengths = draw(grid), dict(grid["length_classes"])
    for file in sorted(folder.glob("wave*.yaml"), key=lambda f: (len(f.name), f.name)):  # 9 before 10
        wave = grid | yaml.safe_load(file.read_text("utf-8"))
        lengths |= wave["length_classes"]
        plan += draw(wave, plan)
    return plan, lengths


def _add_shared_stories(plan: list[dict[str, Any]], grid: dict[str, Any]) -> None:
    """Turn one fitting item of each language of a shared story into a telling of it."""
    for story in grid["shared_stories"]:
        for lang in story["langs"]:
            for row in plan:
                fits = row["themes"] == story["themes"] and row["kind"] != "noise"
                if not fits and story["themes"] and len(story["themes"]) > 1:
                    fits = row["kind"] == "several"
                if row["lang"] == lang and fits and not row["story"].startswith("shared"):
                    row |= {"story": story["id"], "themes": story["themes"],
                            "subject": story["brief"], "place": "as the facts say"}  # fmt: skip
                    if not story["themes"]:
                        row["kind"] = "neighbour"
                    break


def brief(rows: list[dict[str, Any]], lengths: dict[str, Any]) -> str:
    """Assignments of one unit as a writer reads them."""
    out = []
    for row in rows:
        low, high = lengths[row["length_class"]]["words"]
        label = ", ".join(row["themes"]) or "NONE" + (f" (close to {row['near']}, but not it)" if "near" in row else "")
        out.append(f"### {row['id']}  [{row['kind']}]  themes: {label}")
        out.append(f"subject: {row['subject']}")
        if row["kind"] != "noise":
            stage = "" if row["kind"] == "general" else f" | stage: {row['stage']}"
            out.append(f"genre: {row['genre']}{stage} | place: {row['place']}")
            if row["themes"]:
                out.append(f"name the thing by: {row['naming']}")
            out.append(f"form: {row['form']}")
        else:
            low, high = 30, 150
        where = f" | theme appears in the {row['position']}" if "position" in row else ""
        out.append(f"length: {low}-{high} words{where}")
        if row["noise"] and row["kind"] != "noise":
            out.append(f"noise: {row['noise']}")
        out.append("")
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--briefs", type=Path, help="folder for one brief per language unit")
    args = parser.parse_args()
    plan, lengths = draw_all()
    with (PLAN_DIR / "plan.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in plan)
    print(f"{len(plan)} assignments in {len({r['lang'] for r in plan})} languages")
    if args.briefs:
        args.briefs.mkdir(parents=True, exist_ok=True)
        for lang, unit in dict.fromkeys((r["lang"], r["unit"]) for r in plan):
            rows = [r for r in plan if (r["lang"], r["unit"]) == (lang, unit)]
            (args.briefs / f"{lang}-{unit}.md").write_text(brief(rows, lengths), "utf-8")


if __name__ == "__main__":
    main()
