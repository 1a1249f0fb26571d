"""How a kernel's process is started: the first one is the process that the server began with."""

from __future__ import annotations

import os
from typing import Any

from jupyter_client.provisioning import LocalProvisioner

from optinb.serve.headstart import Becoming, become, taken


class HeadStart(LocalProvisioner):
    """Takes the process that has imported already what pages need, where it is still there; else starts one."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        begun = taken() if cmd[1:3] == ["-m", "ipykernel_launcher"] else None
        if begun is None:
            return await super().launch_kernel(cmd, **kwargs)
        folder = kwargs.get("cwd") or os.getcwd()
        environment = {**kwargs["env"], "JPY_PARENT_PID": str(os.getpid())}
        become(begun, Becoming(["ipykernel_launcher", *cmd[3:]], str(folder), environment))
        self.process = begun
        self.pid, self.pgid, self.cwd = begun.pid, os.getpgid(begun.pid), folder
        return self.connection_info
