"""How a kernel's process is started: the first one is the process that the server began with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from optinb.serve.headstart import Becoming, become, taken


class HeadStart(LocalProvisioner):
    """Takes the process that has imported already what pages need, where it is still there; else starts one."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        begun = taken() if cmd[1:3] == ["-m", "ipykernel_launcher"] else None
        if begun is None:
            return await super().launch_kernel(cmd, **kwargs)
        folder = str(kwargs.get("cwd") or Path.cwd())
        environment = {**kwargs["env"], "JPY_PARENT_PID": str(os.getpid())}
        become(begun, Becoming(["ipykernel_launcher", *cmd[3:]], folder, environment))
        self.process: Any = begun
        self.pid: int | None = begun.pid
        self.pgid: int | None = os.getpgid(begun.pid)
        self.cwd: str | None = folder
        return self.connection_info
