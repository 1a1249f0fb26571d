"""A standalone Spark master with two workers on loopback, which the settings name, counts a workspace's groups."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
import pytest

import optinb
from optinb.demo import AUTHOR, RUN_DATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optinb.workspace import Workspace

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]
HOME = Path(pyspark.__file__).parent
RULE = '(attr("registered_at") < days_ago(30)) & did("purchase").at_least(2).within(days=365)'
# A small table over the usual two hundred partitions would be two hundred tasks a join.
SUBMIT = (
    "--conf spark.sql.shuffle.partitions=2 --conf spark.executor.memory=600m --conf spark.ui.enabled=false "
    "--conf spark.sql.sources.parallelPartitionDiscovery.threshold=10000 pyspark-shell"
)
# The session of the other tests lives in this process, and a process has one.
CHILD = """
import json, sys
import optinb
with optinb.open_workspace(sys.argv[1]) as ws:
    print(json.dumps(sorted(ws.members(sys.argv[2], engine="spark")["customer_id"])))
"""


@contextmanager
def service(log: Path, kind: str, *arguments: str, cores: str = "1") -> Iterator[None]:
    """A master or a worker, as long as it is needed."""
    env = os.environ | {
        "SPARK_HOME": str(HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_WORKER_CORES": cores,
        # an executor asks for a gigabyte, and a worker that has less never starts one
        "SPARK_WORKER_MEMORY": "1200m",
        "SPARK_WORKER_DIR": str(log.with_suffix(".work")),
    }
    with log.open("w") as stream:
        command = [HOME / "bin" / "spark-class", f"org.apache.spark.deploy.{kind}", "--host", "127.0.0.1", *arguments]
        process = subprocess.Popen(command, env=env, stdout=stream, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def said(log: Path, words: str) -> str:
    """The line of a log with these words, once it is there."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for line in log.read_text().splitlines():
            if words in line:
                return line
        time.sleep(0.2)
    raise AssertionError(f"{log.name} never said {words!r}:\n{log.read_text()[-2000:]}")


def test_a_master_with_two_workers_has_the_members_that_polars_has(ws: Workspace, tmp_path: Path) -> None:
    expected = sorted(ws.members(RULE)["customer_id"])
    assert expected
    master, first, second = (tmp_path / f"{name}.log" for name in ("master", "first", "second"))
    with service(master, "master.Master", "--port", "0", "--webui-port", "0"):
        address = said(master, "Starting Spark master at").split()[-1]
        workers = [("worker.Worker", "--webui-port", "0", address)] * 2
        with service(first, *workers[0]), service(second, *workers[1]):
            for log in (first, second):
                said(log, "Successfully registered with master")
            settings = ws.root / "optinb.toml"
            settings.write_text(settings.read_text(encoding="utf-8") + f'\n[engine]\nspark_master = "{address}"\n')
            with optinb.open_workspace(ws.root, user=AUTHOR) as again:
                again.model(RUN_DATE)
                exported = again.snapshot().exported
                assert exported is not None
                assert {f.name for f in exported.iterdir()} == {
                    f"{n}.parquet" for n in ("customers", "app_users", "features")
                }
            run = subprocess.run(
                [sys.executable, "-c", CHILD, str(ws.root), RULE],
                env=os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_SUBMIT_ARGS": SUBMIT},
                capture_output=True,
                text=True,
                timeout=240,
            )
            assert run.returncode == 0, run.stderr[-3000:]
            assert json.loads(run.stdout.splitlines()[-1]) == expected
            for log in (first, second):
                said(
                    log, "Launching executor" if "Launching executor" in log.read_text() else "Asked to launch executor"
                )
