"""A real PostgreSQL server for tests, started when the first of them asks for it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from free_ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "p@ss:w0rd/№1"


@pytest.fixture(scope="session")
def cluster() -> Iterator[sa.URL]:
    """A PostgreSQL server on loopback, run by somebody who isn't root, as the server demands."""
    initdb = _program("initdb")
    if initdb is None:
        missing = "PostgreSQL isn't installed: apt-get install postgresql"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    names = {entry.pw_name for entry in pwd.getpwall()}
    owner = None if os.geteuid() else ("postgres" if "postgres" in names else "nobody")
    port = free_port()
    # Not in pytest's own folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="optinb-postgres-") as folder:
        home = Path(folder)
        (home / "password").write_text(PASSWORD, encoding="utf-8")
        if owner:
            for path in (home, home / "password"):
                shutil.chown(path, owner)

        def run(program: str, *arguments: str) -> None:
            command = [str(Path(initdb).with_name(program)), "-D", str(home / "data"), *arguments]
            with (home / "out").open("ab") as out:
                subprocess.run(command, user=owner, cwd=home, check=True, stdout=out, stderr=out)

        run("initdb", "-U", "reader", "-A", "scram-sha-256", "--pwfile", str(home / "password"), "-E", "UTF8", "-N")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        run("pg_ctl", "-w", "-l", str(home / "data" / "log"), "-o", options, "start")
        try:
            yield sa.URL.create(
                "postgresql+psycopg",
                username="reader",
                password=PASSWORD,
                host="127.0.0.1",
                port=port,
                database="postgres",
            )
        finally:
            run("pg_ctl", "-m", "immediate", "stop")


def _program(name: str) -> str | None:
    """The newest of the server's programs of a name, which most systems keep off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(name)


def dump(address: str, file: Path) -> None:
    """Writes a backup of a database, as of one moment, while others go on writing to it."""
    _backup("pg_dump", "--format=custom", f"--file={file}", address=address)


def restore(address: str, file: Path) -> None:
    """Puts a backup in the place of what a database holds."""
    _backup("pg_restore", "--clean", "--exit-on-error", "--single-transaction", str(file), address=address)


def _backup(name: str, *arguments: str, address: str) -> None:
    url = sa.make_url(address)
    where = f"--dbname=host={url.host} port={url.port} user={url.username} dbname={url.database}"
    command = [_program(name) or name, where, *arguments]
    subprocess.run(command, check=True, env={**os.environ, "PGPASSWORD": str(url.password)})


def emptied(cluster: sa.URL) -> str:
    """The address of the server's database, with nothing in it."""
    engine = sa.create_engine(cluster, isolation_level="AUTOCOMMIT")
    with engine.connect() as con:
        con.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        con.exec_driver_sql("ALTER ROLE reader RESET ALL")
    engine.dispose()
    return cluster.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be opened, with nothing in it: on each of the two databases."""
    return str(tmp_path / "state.sqlite") if request.param == "sqlite" else emptied(request.getfixturevalue("cluster"))
