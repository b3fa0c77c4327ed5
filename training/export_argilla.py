"""What a row of an Argilla export says: records of Argilla 2, and datasets of Argilla 1."""

from __future__ import annotations

from typing import Any

from training.export_formats import Options, Said
from training.rows import Row

RESPONSES = ".responses"  # ends the columns of answers in a flattened export


def argilla(row: Row, options: Options) -> tuple[list[Row], list[Said] | str]:
    """``records.to_list()``, nested or flattened, or a dataset of Argilla 1 (https://docs.argilla.io).

    Suggestions and predictions are left aside. Only flattened exports tell drafts and discarded answers from
    submitted ones; of nested ones, records that are pending are left out, which have none submitted or too few.
    """
    if "annotation" in row:
        return _one_label_set(row)
    answers: list[tuple[str, Any, Any, Any]] = []  # question, value, user, status
    if "fields" in row:
        sources = [row["fields"], row.get("metadata") or {}, {"id": row.get("id")}]
        given = row["responses"] or {}
        if isinstance(given, list):  # of Argilla 1's feedback datasets: one entry a user
            for one in given:
                about = one.get("user_id"), one.get("status")
                answers += [(q, own.get("value"), *about) for q, own in (one.get("values") or {}).items()]
        else:
            for question, own in given.items():
                answers += [(question, one["value"], one.get("user_id"), one.get("status")) for one in own]
        if row.get("status") == "pending" and answers and all(status is None for *_, status in answers):
            return sources, "pending: its answers may be drafts or discarded (to_list(flatten=True) tells)"
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


def _one_label_set(row: Row) -> tuple[list[Row], list[Said] | str]:
    """A text classification record of Argilla 1: only a validated one is labelled."""
    sources = [{"text": row["text"]} if row.get("text") else row.get("inputs") or {}, row.get("metadata") or {}]
    sources.append({"id": row.get("id")})
    status, given = str(row.get("status") or "Validated"), row["annotation"]
    if status.casefold() != "validated":
        return sources, "not labelled yet" if status.casefold() == "default" else f"status {status!r}"
    labels = given if isinstance(given, list) else [] if given is None else [given]
    if not all(isinstance(label, (str, int)) for label in labels):
        raise ValueError("annotation holds no plain labels; export a text classification dataset")
    return sources, [Said(str(row.get("annotation_agent") or ""), tuple(map(str, labels)))]
