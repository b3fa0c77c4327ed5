"""What a row of each labelling tool's export says, in the tool's own labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training.data import MAX_CHARACTERS
from training.rows import Row

COLUMNS = {
    "text": ("text", "body", "content", "article"), "title": ("title", "headline"), "lang": ("lang", "language"),
    "story": ("story", "group"), "id": ("id", "article_id"),
}  # fmt: skip
RESPONSES = ".responses"  # ends the columns of answers in a flattened Argilla export
LABELS = ("themes", "labels", "label", "categories", "category", "cats")


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


def _labelstudio(row: Row, options: Options) -> tuple[list[Row], list[Said] | str]:
    """https://labelstud.io/guide/task_format; choices and taxonomies, predictions left aside."""
    if "data" not in row:
        raise ValueError("no 'data': export as JSON, not as JSON-MIN")
    given = row.get("annotations") or row.get("completions") or []
    done = [a for a in given if not (a.get("was_cancelled") or a.get("skipped"))]
    said = []
    for annotation in [a for a in done if a.get("ground_truth")] or done:
        labels: list[str] = []
        for result in annotation["result"]:
            if options.question in ("", result.get("from_name")):
                value = result["value"]
                labels += value.get("choices") or ["/".join(path) for path in value.get("taxonomy") or []]
        who = annotation.get("completed_by")
        said.append(Said(str(who.get("email") or who["id"] if isinstance(who, dict) else who or ""), tuple(labels)))
    return [row["data"], row.get("meta") or {}], said or ("skipped by the labeller" if given else [])


def _argilla(row: Row, options: Options) -> tuple[list[Row], list[Said] | str]:
    """``records.to_list()``, nested or flattened (https://docs.argilla.io); suggestions left aside."""
    answers: list[tuple[str, Any, Any, Any]] = []  # question, value, user, status
    if "fields" in row:
        sources = [row["fields"], row.get("metadata") or {}, {"id": row.get("id")}]
        for question, own in (row["responses"] or {}).items():
            answers += [(question, one["value"], one.get("user_id"), one.get("status")) for one in own]
    else:
        sources = [row]
        for key in [key for key in row if key.endswith(RESPONSES) and row[key]]:
            values = row[key]
            users, statuses = (row.get(f"{key}.{name}") or [None] * len(values) for name in ("users", "status"))
            question = key.removesuffix(RESPONSES)
            answers += [(question, *one) for one in zip(values, users, statuses, strict=True)]
    voices: dict[str, list[str]] = {}
    for question, value, user, status in answers:
        labels = [value] if isinstance(value, str) else value
        usable = status in (None, "submitted") and isinstance(labels, list)
        if usable and options.question in ("", question) and all(isinstance(label, str) for label in labels):
            voices.setdefault(str(user or ""), []).extend(labels)
    said = [Said(user, tuple(labels)) for user, labels in voices.items()]
    return sources, said or ("no submitted response" if answers else [])


def _prodigy(row: Row, _options: Options) -> tuple[list[Row], list[Said] | str]:
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


def _doccano(row: Row, _options: Options) -> tuple[list[Row], list[Said] | str]:
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


def _csv(row: Row, options: Options) -> tuple[list[Row], list[Said] | str]:
    """A column ``text``, and labels in one column (an empty ``themes`` says "no theme", as in our own files)."""
    column = next((name for name in LABELS if row.get(name) is not None), None)
    if column is None:
        raise ValueError(f"no column {' or '.join(LABELS)} (there are: {', '.join(map(str, list(row)[:8]))})")
    cell = row[column]
    for separator in options.separators[1:]:
        cell = cell.replace(separator, options.separators[0])
    parts = cell.split(options.separators[0]) if options.separators else [cell]
    labels = tuple(label.strip() for label in parts if label.strip())
    who = str(row.get("labeller") or row.get("annotator") or "")
    return [row], [Said(who, labels, silent=not labels and column != "themes")]


def _feedback(row: Row, _options: Options) -> tuple[list[Row], list[Said] | str]:
    """``themewatch feedback export``, and every other file in this project's own format."""
    if not isinstance(row.get("themes"), list):
        raise ValueError("themes must be a list of theme keys")
    return [row], [Said("", tuple(map(str, row["themes"])))]


READERS: dict[str, Reader] = {
    "labelstudio": _labelstudio, "argilla": _argilla, "prodigy": _prodigy, "doccano": _doccano, "csv": _csv,
    "feedback": _feedback,
}  # fmt: skip


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
