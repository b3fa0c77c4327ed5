"""The ``themewatch`` command: gathers its parts by entry point and turns our errors into one line.

Parts live in the layer they belong to (``serve.classify``, ``training.commands``, …) and are named
under ``[project.entry-points."themewatch.commands"]``. They must import nothing heavy on loading.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata

import typer

from model.errors import ThemewatchError

GROUP = "themewatch.commands"
_ORDER = ("classify", "score", "demo", "serve", "feedback", "data", "train", "evaluate", "models")
EXIT_ERROR = 2


def build_app(only: str = "") -> typer.Typer:
    """The command-line application with every installed part, or with ``only`` one where it is named."""
    app = typer.Typer(
        name="themewatch", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False,
        help="Which themes of online exploitation does an article report on? In any language, with reasons.",
    )  # fmt: skip
    app.callback()(_root)
    points = metadata.entry_points(group=GROUP)
    points = points.select(name=only) or points  # the others' imports take time
    known = {name: i for i, name in enumerate(_ORDER)}
    for point in sorted(points, key=lambda p: (known.get(p.name, len(known)), p.name)):
        part = point.load()
        if isinstance(part, typer.Typer):
            app.add_typer(part, name=point.name)
        else:
            app.command(point.name)(part)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"themewatch {metadata.version('themewatch')}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and leave."
    ),
) -> None:
    """Which themes of online exploitation does an article report on? In any language, with reasons."""


def main() -> None:
    """Entry point: exit code 0, or 2 with one line on standard error."""
    for name in ("HF_HUB_DISABLE_TELEMETRY", "GRADIO_ANALYTICS_ENABLED"):
        os.environ.setdefault(name, "1" if name.startswith("HF") else "False")
    try:
        build_app(sys.argv[1] if len(sys.argv) > 1 else "")()
    except ThemewatchError as error:
        print(f"themewatch: {error}", file=sys.stderr)
        sys.exit(EXIT_ERROR)
    except MemoryError:
        print("themewatch: out of memory; give fewer or shorter texts at once", file=sys.stderr)
        sys.exit(EXIT_ERROR)
    except BrokenPipeError:  # `themewatch … | head` is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"themewatch: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
