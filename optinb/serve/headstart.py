"""The process of the first kernel, begun together with the server: what the views need is imported meanwhile.

It knows nothing yet of what it will be: the environment, the folder and the connection of its kernel are told to it
when one is started, through a pipe, and it is used for one kernel alone.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import EntryPoint
from subprocess import DEVNULL, PIPE, Popen
from threading import Timer
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "optinb.workspace",
    "optinb.views.workbench_view",
    "optinb.views.plan.planner",
    "sqlalchemy.dialects.sqlite",
    "duckdb",
    "polars",
)
SECRET = "OPTINB_SERVE_TOKEN"
ENDING_S = 10.0
"""That a kernel may take to give back what it holds."""
_begun: list[Popen[bytes]] = []


class Becoming(msgspec.Struct, frozen=True):
    """What a process becomes: a kernel with these arguments, in this folder and environment."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]


def begin(environment: Mapping[str, str] = os.environ) -> None:
    """Begins the process of the first kernel. It never gets the token of the server."""
    given = {name: value for name, value in environment.items() if name != SECRET}
    # ipykernel reads it when it is imported: a kernel ends by itself once the server is gone, however that ended
    given["JPY_PARENT_PID"] = str(os.getpid())
    command = [sys.executable, "-P", "-m", "optinb.serve.headstart"]
    _begun.append(Popen(command, stdin=PIPE, stdout=DEVNULL, env=given, start_new_session=True))


def taken() -> Popen[bytes] | None:
    """The process that was begun, for one who asks; None once it is taken, or where it has ended."""
    process = _begun.pop() if _begun else None
    return process if process is not None and process.poll() is None else None


def end() -> None:
    """Ends a process that nobody took."""
    while _begun:
        process = _begun.pop()
        process.kill()
        process.wait()


def become(process: Popen[bytes], what: Becoming) -> None:
    """Has a process become a kernel."""
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(what))
    process.stdin.close()


def provisioner() -> EntryPoint:
    """How Jupyter is told of the class that starts kernels, which is imported when the first one is started."""
    return EntryPoint("optinb", "optinb.serve.provisioner:HeadStart", "jupyter_client.kernel_provisioners")


def end_within(seconds: float) -> None:
    """Ends this process after so many seconds, whatever it still waits for.

    Args:
        seconds: that what is called at its end may take.
    """
    # a kernel whose other side is gone may wait for its sockets for ever
    last = Timer(seconds, os._exit, (0,))
    last.daemon = True
    last.start()


def _wait() -> None:
    for name in MODULES:
        import_module(name)
    told: Any = sys.stdin.buffer.read()
    if not told:
        return  # the server has ended
    what = msgspec.json.decode(told, type=Becoming)
    os.environ.clear()
    os.environ.update(what.environment)
    os.chdir(what.folder)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    sys.argv = what.arguments
    from ipykernel.kernelapp import IPKernelApp
    from ipywidgets import register_comm_target

    kernel = IPKernelApp.instance()
    kernel.initialize(what.arguments[1:])
    register_comm_target()  # as it does by itself where it is imported in a kernel, which this wasn't yet
    try:
        kernel.start()
    finally:
        end_within(ENDING_S)


if __name__ == "__main__":
    _wait()
