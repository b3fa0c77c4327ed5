"""What a run is made of, as its journal keeps it: an unfinished run goes on only with the very same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.errors import InputError

RESTORE = "put it back as it was, or give --overwrite without --resume"


def check_same(old: dict[str, Any], now: dict[str, Any], output: Path) -> None:
    """Compare what an unfinished run was made of with what it would go on with.

    Args:
        old: the journal's facts: ``inputs`` (fingerprints), ``options`` (by name), and others.
        now: the same of this run.
        output: the file both are to write.

    Raises:
        InputError: they differ; the message names the first difference.
    """
    before, after = old.get("inputs", []), now["inputs"]
    if [item["name"] for item in before] != [item["name"] for item in after]:
        raise InputError("the inputs are not those of the unfinished run", where=output, remedy=RESTORE)
    for was, item in zip(before, after, strict=True):
        if was != item:
            raise InputError("changed since the unfinished run", where=item["name"], remedy=RESTORE)
    options = old.get("options", {})
    for key, value in now["options"].items():
        if options.get(key) != value:
            name = f"--{key}".replace("_", "-")
            raise InputError(f"{name} is not that of the unfinished run", where=output, remedy=RESTORE)
    for key, value in now.items():
        if old.get(key) != value:
            raise InputError(f"the {key} is not that of the unfinished run", where=output, remedy=RESTORE)
