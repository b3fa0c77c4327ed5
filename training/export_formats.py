"""What a row of each labelling tool's export says, in the tool's own labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training.data import MAX_CHARACTERS
from training.rows import Row

COLUMNS = {
    "text": ("text", "body", "content", "article"), "title": ("title", "headline"), "lang": ("lang", "language"),
    "story": ("story", "group"), "id": ("id", "article_id"),
}  # fmt: skip
LABELS = ("themes", "labels", "label", "categories", "category", "cats")
_WHO = ("labeller", "annotator")
_FLAGS = {"1": True, "1.0": True, "true": True, "yes": True, "0": False, "0.0": False, "false": False, "no": False}


@dataclass(frozen=True)
class Options:
    """How to read: the question or control that holds the themes (all), and what parts labels in a CSV cell."""

    question: str = ""
    separators: str = "|;"


@dataclass(frozen=True)
class Said:
    """One labeller's answer; see ``Judgement``."""

    labeller: str
    labels: tuple[str, ...]
    asked: tuple[str, ...] | None = None
    silent: bool = False


# Where to look for the article, and the answers, or why there are none. ValueError: the file is at fault.
Reader = Callable[[Row, Options], tuple[list[Row], list[Said] | str]]


def labelstudio(row: Row, options: Options) -> tuple[list[Row], list[Said] | str]:
    """https://labelstud.io/guide/task_format; choices and taxonomies, predictions left aside."""
    if "data" not in row:
        return _labelstudio_min(row, options)
    given = row.get("annotations") or row.get("completions") or []
    done = [a for a in given if not (a.get("was_cancelled") or a.get("skipped"))]
    said = []
    for annotation in [a for a in done if a.get("ground_truth")] or done:
        labels: list[str] = []
        for result in annotation["result"]:
            if options.question in ("", result.get("from_name")):
                value = result.get("value") or {}  # a relation has none
                labels += value.get("choices") or ["/".join(path) for path in value.get("taxonomy") or []]
        who = annotation.get("completed_by")
        said.append(Said(str(who.get("email") or who["id"] if isinstance(who, dict) else who or ""), tuple(labels)))
    return [row["data"], row.get("meta") or {}], said or ("skipped by the labeller" if given else [])


def _labelstudio_min(row: Row, options: Options) -> tuple[list[Row], list[Said] | str]:
    """JSON-MIN: one column a control, holding one choice, or ``choices`` or ``taxonomy`` where there are several."""
    if not options.question:
        raise ValueError("JSON-MIN has labels and data side by side: name the control with --question, or export JSON")
    labels = _choices(row.get(options.question))
    return [row], [Said(str(row.get("annotator") or ""), labels)]


def _choices(value: Any) -> tuple[str, ...]:
    """The labels in a column of a Label Studio export; a choice left open has no column."""
    if isinstance(value, dict):
        return (*map(str, value.get("choices") or ()), *("/".join(path) for path in value.get("taxonomy") or ()))
    if isinstance(value, list):
        return tuple(label for one in value for label in _choices(one))
    return () if value is None or value == "" else (str(value),)


def prodigy(row: Row, _options: Options) -> tuple[list[Row], list[Said] | str]:
    """https://prodi.gy/docs/api-interfaces: ``choice`` tasks, and one ``label`` accepted or rejected."""
    sources, answer = [row, row.get("meta") or {}], row.get("answer", "accept")
    who = str(row.get("_annotator_id") or row.get("_session_id") or "")
    if "accept" in row or "options" in row:
        names = (
            {o["id"]: o["id"] if isinstance(o["id"], str) else o.get("text", o["id"]) for o in row["options"]}
            if row.get("options")
            else {}
        )
        labels = tuple(str(names.get(label, label)) for label in row.get("accept") or ())
        return sources, [Said(who, labels)] if answer == "accept" else f"answered {answer!r}"
    if answer not in ("accept", "reject"):
        return sources, f"answered {answer!r}"
    label = str(row["label"])
    return sources, [Said(who, (label,) if answer == "accept" else (), asked=(label,))]


def doccano(row: Row, _options: Options) -> tuple[list[Row], list[Said] | str]:
    """``label`` or ``labels``: a list or one label. Its ids are the database's, so they are not kept."""
    column = next((name for name in LABELS if name in row), None)
    if column is None:
        raise ValueError(f"no labels (its columns: {', '.join(map(str, list(row)[:8]))})")
    given = row[column]
    given = [] if given is None else given if isinstance(given, list) else [given]
    if not all(isinstance(label, (str, int)) for label in given):
        raise ValueError(f"{column} holds no plain labels; export a text classification project")
    about = {key: value for key, value in row.items() if key != "id"}
    return [about, row.get("meta") or row.get("metadata") or {}], [Said("", tuple(map(str, given)), silent=not given)]


def csv(row: Row, options: Options) -> tuple[list[Row], list[Said] | str]:
    """A column ``text``, and labels in one column (an empty ``themes`` says "no theme", as in our own files).

    Or a column of 0 and 1 for each label; an empty cell there was not judged. Label Studio's CSV has JSON in cells.
    """
    who = next((str(row[name]) for name in _WHO if row.get(name)), "")
    columns = (options.question,) if options.question else LABELS
    column = next((name for name in columns if row.get(name) is not None), None)
    if column is None:
        return [row], [_one_hot(row, who)]
    cell = row[column].strip()
    if cell.startswith(("{", "[")):
        try:
            return [row], [Said(who, _choices(json.loads(cell)))]
        except (ValueError, RecursionError, AttributeError, TypeError) as error:
            raise ValueError(f"{column} starts like JSON, but is none") from error
    for separator in options.separators[1:]:
        cell = cell.replace(separator, options.separators[0])
    parts = cell.split(options.separators[0]) if options.separators else [cell]
    labels = tuple(label.strip() for label in parts if label.strip())
    return [row], [Said(who, labels, silent=not labels and column != "themes")]


def _one_hot(row: Row, who: str) -> Said:
    about = {*_WHO, *(name for names in COLUMNS.values() for name in names)}
    cells = {name: str(cell or "").strip().casefold() for name, cell in row.items() if name not in about}
    flags = {name: _FLAGS[cell] for name, cell in cells.items() if cell in _FLAGS}
    if not flags:
        raise ValueError(
            f"no column {' or '.join(LABELS)}, none of 0 and 1 (there are: {', '.join(map(str, list(row)[:8]))}); "
            "--question names it"
        )
    return Said(who, tuple(name for name, yes in flags.items() if yes), asked=tuple(flags))


def feedback(row: Row, _options: Options) -> tuple[list[Row], list[Said] | str]:
    """``themewatch feedback export``, and every other file in this project's own format."""
    if not isinstance(row.get("themes"), list):
        raise ValueError("themes must be a list of theme keys")
    return [row], [Said("", tuple(map(str, row["themes"])))]


def first(sources: list[Row], names: tuple[str, ...]) -> str:
    """The first value that is there, as a string."""
    found = (source.get(name) for source in sources for name in names)
    return next((str(value) for value in found if isinstance(value, (str, int)) and str(value).strip()), "")


def text_of(sources: list[Row]) -> str:
    """The article's text.

    Raises:
        ValueError: there is none, or it is too long to be one.
    """
    text = next((sources[0][name] for name in COLUMNS["text"] if sources[0].get(name) is not None), None)
    if text is None:
        raise ValueError(f"no text (its fields: {', '.join(map(str, list(sources[0])[:8]))})")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("text is empty" if isinstance(text, str) else f"text is {type(text).__name__}, not a string")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"text has {len(text):,} characters, over the limit of {MAX_CHARACTERS:,}")
    return text
