"""A newsroom's session from its own labels to a promoted model and back, with the real command line.

``python -m tests.benchmarks.session [--part session|theme|gate] [--keep FOLDER]``. Everything happens in a temporary
folder with a registry of its own; each command is run as it is shown. What was typed and told goes to
``training/SESSION.md`` (a part that is not run stays as it stands there). A step that does not do what it should ends
the run with exit code 1, and the record stays in the folder instead.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.session.gate import refusals
from tests.benchmarks.session.labels import own_labels
from tests.benchmarks.session.theme import fifth_theme
from tests.benchmarks.session.transcript import ROOT, StepError, Transcript, prepare_folder, write_record

RECORD = ROOT / "training" / "SESSION.md"
TITLE = """# A recorded session

Made by `python -m tests.benchmarks.session`: every command was run as shown, in a folder with the files of
[`tests/data/session`](../tests/data/session/README.md) and `configs/`, with `THEMEWATCH_REGISTRY=$PWD/registry`.
Output is real and trimmed: progress bars and warnings of libraries are left out, and `…` stands for lines left out.
All articles are fictional.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("session", "theme", "gate"), action="append", help="default: all three")
    parser.add_argument(
        "--language", default="", help="whose labels are shuffled for the gate; default: the most tested"
    )
    parser.add_argument("--keep", type=Path, help="work in this new folder, and leave it there")
    args = parser.parse_args()
    base = (args.keep or Path(tempfile.mkdtemp(prefix="themewatch-session-"))).resolve()
    records: dict[str, list[str]] = {}
    failures: list[str] = []
    for part in dict.fromkeys(args.part or ("session", "theme", "gate")):
        folder = base / part
        prepare_folder(folder)
        t = Transcript(folder)
        try:
            if part == "session":
                own_labels(t)
            elif part == "theme":
                fifth_theme(t)
            else:
                refusals(t, args.language)
        except StepError as error:
            t.failures.append(str(error))
        records[part] = t.lines
        failures += [f"{part}: {failure}" for failure in t.failures]
    if failures:
        write_record(base / "SESSION.md", TITLE, records)
        sys.exit("\n".join([f"not as it should be (see {base / 'SESSION.md'}):", *failures]))
    write_record(RECORD, TITLE, records)
    print(f"written to {RECORD}")
    if args.keep is None:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
