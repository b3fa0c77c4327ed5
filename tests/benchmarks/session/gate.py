"""Part three: models that the gate refuses."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter
from pathlib import Path

from tests.benchmarks.session.transcript import StepError, Transcript

OTHERS = 300  # articles of other languages beside the shuffled one
INFLATED = 3.0  # added to every theme's calibrated log-odds


def refusals(t: Transcript, language: str) -> None:
    """Two models that the gate must not let serve."""
    t.say("## What the gate refuses")
    t.run('themewatch models add released --reason "as released"')
    t.run("themewatch models promote themewatch")
    language, own, others, tested = _write_shuffled(t.folder / "shuffled.jsonl", language)
    t.say(
        f"**One language's labels shuffled.** `shuffled.jsonl` holds {own} articles in {language!r} of the corpus' "
        f"training part, whose labels a script exchanged among them, and {others} others as they are. (The test part "
        f"has {tested} in that language.) The encoder learns on from there."
    )
    t.run("themewatch train configs/base.yaml --from released --data shuffled.jsonl --replay 0 --out models/shuffled "
          "--name shuffled")  # fmt: skip
    t.run("themewatch models add models/shuffled")
    told = t.run("themewatch models promote shuffled --data shuffled.jsonl", wanted=2)
    _refused_for(t, told, f"micro-F1 of language {language} falls")
    t.say(
        f"**Inflated scores.** A copy of the released model in which a script raised the intercept of every theme's "
        f"calibration by {INFLATED:g}, so that all probabilities are too high."
    )
    _write_inflated(t.folder / "models" / "inflated")
    t.run("themewatch models add models/inflated")
    told = t.run("themewatch models promote inflated", wanted=2)
    _refused_for(t, told, "calibration error rises")
    listed = t.run("themewatch models list", most=30)
    serving = re.findall(r"^\* (\S+):", listed, re.M)
    t.check(len(serving) == 1 and serving[0].startswith("themewatch-"), f"{' '.join(serving)} serves as before")


def _refused_for(t: Transcript, told: str, reason: str) -> None:
    lines = [line for line in told.splitlines() if "not promoted: " in line]
    reasons = lines[-1].partition("not promoted: ")[2].partition("; --accept")[0].split("; ") if lines else []
    listed = "".join(f"\n- {one}" for one in reasons)
    t.check(any(one.startswith(reason) for one in reasons), f"refused because {reason}; all the reasons told:{listed}")


def _write_shuffled(path: Path, language: str) -> tuple[str, int, int, int]:
    """Training articles of the corpus with one language's labels shuffled (default: the one with the most test
    articles); gives the language, and the numbers of articles in it, in others, and in it in the test part."""
    from model.artifact import Artifact
    from tests.conftest import write_jsonl
    from training.comparison import LEAST
    from training.seen import recorded_parts

    parts = recorded_parts(Artifact.load())
    if parts is None:
        raise StepError("the corpus at hand is not what the released model was trained on")
    counts = Counter(item.lang for item in parts.test)
    language = language or max(counts, key=lambda lang: (counts[lang], lang))
    tested = counts[language]
    if tested < LEAST:
        raise StepError(f"the test part has {tested} articles in {language!r}; a language is judged from {LEAST}")
    chance = random.Random(0)
    own = [item for item in parts.train if item.lang == language]
    others = chance.sample([item for item in parts.train if item.lang != language], OTHERS)
    labels = [list(item.themes) for item in own]
    chance.shuffle(labels)
    labels += [list(item.themes) for item in others]
    write_jsonl(path, [
        {"id": i.id, "story": i.story, "lang": i.lang, "title": i.title, "text": i.text, "themes": themes}
        for i, themes in zip([*own, *others], labels, strict=True)
    ])  # fmt: skip
    return language, len(own), len(others), tested


def _write_inflated(to: Path) -> None:
    """A copy of the released model whose probabilities are all too high."""
    from model.artifact import PRETRAINED, seal
    from model.layout import LAYOUT

    shutil.copytree(PRETRAINED, to)
    decisions = json.loads((to / LAYOUT.decisions).read_text("utf-8"))
    for rule in decisions["themes"].values():
        rule["intercept"] += INFLATED
    (to / LAYOUT.decisions).write_text(json.dumps(decisions, indent=1) + "\n", "utf-8")
    manifest = json.loads((to / LAYOUT.manifest).read_text("utf-8"))
    facts = {k: v for k, v in manifest.items() if k not in ("kind", "format", "written_by", "files")}
    seal(to, facts | {"name": "inflated"})
