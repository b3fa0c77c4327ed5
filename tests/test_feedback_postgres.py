"""The same store over PostgreSQL, where this machine has one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.feedback.store import FeedbackStore
from serve.feedback.tables import Base
from tests.feedback_tools import said

INITDB = shutil.which("initdb") or next(
    (str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A throw-away server on a socket of its own; it refuses to run as root, so then as nobody."""
    if INITDB is None:
        pytest.skip("no PostgreSQL on this machine (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="themewatch-pg"))  # a socket's path must be short
    who: Any = {}
    if os.getuid() == 0:
        who = {"user": "nobody"}
        folder.chmod(0o777)
    tools = Path(INITDB).parent
    data = str(folder / "data")

    def run(*command: str) -> None:
        # no pipes: the server would inherit them, and keep them open
        with (folder / "setup.log").open("a") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, timeout=120, cwd=folder, **who)

    run(INITDB, "-D", data, "-A", "trust", "-U", "tester", "--no-sync")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run(str(tools / "pg_ctl"), "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start")
    yield f"postgresql://tester@/postgres?host={folder}"
    run(str(tools / "pg_ctl"), "-D", data, "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder)


def test_postgresql_takes_the_same_feedback(cluster: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import text

    store = FeedbackStore.open(cluster)
    assert store.put(said(text="odd \0 \U0001f600 end"))
    assert not store.put(said(text="odd \0 \U0001f600 end", themes=()))
    assert store.put(said(user="other", consent=False))
    assert [json.loads(line)["themes"] for line in store.training_lines()] == [[]]
    assert [json.loads(line)["text"] for line in store.training_lines()] == ["odd   \U0001f600 end"]
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("SELECT text FROM feedback WHERE user_name = 'other'")).scalar() is None
    again = FeedbackStore.open(cluster)
    assert again.count() == 2
    again.close()
    store.close()
