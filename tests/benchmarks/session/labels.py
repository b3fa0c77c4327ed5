"""Part one: own labels imported, cleaned, trained on; the model promoted, asked, and rolled back."""

from __future__ import annotations

import csv
import json
import re
from typing import Any

import yaml

from tests.benchmarks.session.service import Service
from tests.benchmarks.session.transcript import DATA, Transcript, read_rows


def own_labels(t: Transcript) -> None:
    """Import, suspects, retrain, compare, promote, a running service, roll back."""
    folder = t.folder
    t.say("## From 60 corrected articles to a promoted model, and back")
    t.say("The released model goes into an empty registry, and a service follows that registry.")
    t.run('themewatch models add released --reason "as released"')
    t.run("themewatch models promote themewatch")
    service = Service(t)
    try:
        t.say(
            "Twelve articles in the newsroom's own words, which nobody will train on: *photo rent* is its word for "
            "sextortion, the *coin ferry* launders through cryptocurrency, and real ferries cross the lake, too."
        )
        questions = read_rows(folder / "questions.jsonl")
        body = {"articles": [{key: q[key] for key in ("id", "title", "text")} for q in questions]}
        (folder / "questions.json").write_text(json.dumps(body, ensure_ascii=False), "utf-8")
        before = _ask(t, service, questions, {})
        planted = _clean_data(t)
        t.say(f"With the {planted} labels mended, the head is trained on top of the released model, with replay.")
        options = "--data mine.jsonl --out models/lake --name lake --version 1.0.0"
        t.run(f"themewatch train configs/head.yaml --from released {options}")
        t.run("themewatch evaluate --data questions.jsonl --model models/lake --no-baselines --trained-on mine.jsonl",
              most=40)  # fmt: skip
        name = t.run("themewatch models add models/lake").strip().splitlines()[-1]
        t.say("Is it better, and for whom? Both models answer the corpus' test part, which neither was trained on.")
        t.run("themewatch models compare themewatch lake", most=12, keep=("calibration", "false alarms", "refused"))
        told = service.told
        t.run("themewatch models promote lake --data mine.jsonl")
        t.block([service.wait_for(name, told)], "text")
        after = _ask(t, service, questions, before)
        labels = {q["id"]: q["themes"] for q in questions}
        mended = [k for k in labels if before[k]["themes"] != labels[k] == after[k]["themes"]]
        broken = [k for k in labels if before[k]["themes"] == labels[k] != after[k]["themes"]]
        t.check(
            bool(mended) and len(mended) > len(broken),
            f"without a restart, the running service gives {len(mended)} right answers that were wrong before "
            f"({', '.join(mended) or 'none'}), and {len(broken)} wrong ones that were right",
        )
        told = service.told
        undone = re.search(r"^(\S+) serves now", t.run('themewatch models rollback --reason "more tests first"'), re.M)
        t.block([service.wait_for(undone[1] if undone else "", told)], "text")
        back = _ask(t, service, questions, after)
        t.check(
            all(
                abs(back[k]["scores"][key] - score) < 1e-3 for k in labels for key, score in before[k]["scores"].items()
            ),
            "all twelve answers are those of the beginning again",
        )
        t.run("themewatch models list")
    finally:
        service.stop()


def _clean_data(t: Transcript) -> int:
    """The import with its mapping, the planted label errors found and mended; gives how many there are."""
    planted: dict[str, str] = yaml.safe_load((DATA / "planted.yaml").read_text("utf-8"))
    filled = (DATA / "labels.yaml").read_text("utf-8")
    (t.folder / "labels.yaml").unlink()
    t.say("The newsroom's sheet has labels of its own; the first import asks what they mean.")
    t.run("themewatch data import corrections.csv -o mine.jsonl --write-mapping labels.yaml", wanted=2)
    (t.folder / "labels.yaml").write_text(filled, "utf-8")
    t.say("Filled in once, the mapping serves every later import.")
    t.run("cat labels.yaml")
    t.run("themewatch data import corrections.csv --mapping labels.yaml -o mine.jsonl")
    t.say(f"In this sheet {len(planted)} labels are wrong on purpose.")
    told = t.run("themewatch data suspects mine.jsonl", most=16, keep=list(planted))
    found = re.findall(r"^[\d.]+ (\S+): ", told, re.M)
    places = [f"{key} (place {found.index(key) + 1})" for key in planted if key in found]
    others = len(found) - len(places)
    t.check(
        len(places) == len(planted),
        f"{len(places)} of the {len(planted)} planted errors are named: {', '.join(places) or 'none'}. "
        f"The other {others} are articles that the released model reads otherwise than the newsroom does",
    )
    path = t.folder / "corrections.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    changes = []
    for row in rows:
        if (right := planted.get(row["article_id"])) is not None:
            changes.append(f"{row['article_id']}: {row['label']} → {right}")
            row["label"] = right
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    t.say("Somebody looks at them, puts the three right in the sheet, and imports it again.")
    t.block(changes, "text")
    t.run("themewatch data import corrections.csv --mapping labels.yaml -o mine.jsonl")
    return len(changes)


def _ask(
    t: Transcript, service: Service, questions: list[dict[str, Any]], earlier: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The running service's answers by article; the record shows themes and scores of each, and what changed."""

    def show(told: str) -> list[str]:
        results = json.loads(told)["results"]
        model = results[0]["model"]
        lines = [f"model {model['name']} {model['version']} ({model['digest']}); of each answer only the themes:"]
        for result, question in zip(results, questions, strict=True):
            said = ", ".join(result["themes"]) or "none"
            best = max(result["scores"], key=lambda key: float(result["scores"][key]))
            was = earlier.get(result["id"], result)["themes"]
            note = "" if was == result["themes"] else f"   <- was: {', '.join(was) or 'none'}"
            wanted = ", ".join(question["themes"]) or "none"
            score = f"highest score {best} {result['scores'][best]:.0%}"
            lines.append(f"{result['id']} {question['lang']} is: {wanted}; answer: {said} ({score}){note}")
        return lines

    header = "-H 'Content-Type: application/json'"
    told = t.run(f"curl -s localhost:{service.port}/v1/classify {header} -d @questions.json", show=show)
    return {result["id"]: result for result in json.loads(told)["results"]}
