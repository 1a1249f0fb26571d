"""What happens when a visitor comes: their kernel, and no other, is told the address that they open."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.session import Session
from tornado.ioloop import IOLoop

from optinb.serve.headstart import provisioner

URL = "VOILA_REQUEST_URL"  # what Voilà would tell the kernel that it begins for the next visitor
SAID_S = 5.0  # within which a kernel has been told


def tell_kernels(manager: Any) -> None:
    """Has the kernels of a server begun by our provisioner, and told of their visitor when they are given away."""
    known = KernelProvisionerFactory.instance(parent=manager.parent)
    known.provisioners[provisioner().name] = provisioner()
    known.default_provisioner_name = provisioner().name
    if not hasattr(manager, "get_rendered_notebook"):
        return
    give = manager.get_rendered_notebook

    async def given(notebook_name: str, extra_kernel_env_variables: dict[str, str], **more: Any) -> Any:
        task, rendered, kernel = await give(notebook_name, **more)
        query = urlsplit(extra_kernel_env_variables.get(URL, "")).query
        _tell(manager.get_kernel(kernel), query)
        return task, rendered, kernel

    manager.get_rendered_notebook = given


def _tell(kernel: Any, query: str) -> None:
    # With an identity of its own: the kernel's answers to whoever runs the page's cells would come here otherwise.
    client = kernel.client(session=Session(key=kernel.session.key))
    client.start_channels(iopub=False, stdin=False, hb=False, control=False)
    code = f"from optinb.views.arrivals import arrived; arrived({query!r})"
    client.execute(code, silent=True, store_history=False, allow_stdin=False)
    IOLoop.current().call_later(SAID_S, client.stop_channels)
