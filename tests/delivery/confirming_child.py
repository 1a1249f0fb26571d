"""A process that asks Appboy what became of messages, and dies after so many answers.

Arguments: the workspace's folder, the sandbox's address, the app group's id, the time, and after how many answers.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from delivery_desk import KEY_NAME, store_address

from optinb.appboy import AppboyClient
from optinb.base.context import Context
from optinb.base.settings import AppGroupSettings, Settings
from optinb.delivery import AuditCheckpoints, ContactHistory, confirming_night
from optinb.delivery.confirming import Confirming
from optinb.delivery.journal import Store


def main() -> None:
    root, url, group_id, now, answers = sys.argv[1:]
    group = AppGroupSettings(id=group_id, name="Shop", api=url, key=f"env:{KEY_NAME}")
    store = Store.open(store_address(Path(root)), root=Path(root))
    at = datetime.fromisoformat(now)
    context = Context(Path(root), Settings(app_groups=(group,)), now=lambda: at, user="bob")
    confirming_night.A_PART = 2
    export, left = AppboyClient.export_users, int(answers)

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return export(*args, **kwargs)

    AppboyClient.export_users = dying
    Confirming(
        context,
        store,
        contacts=ContactHistory(Path(root), store),
        checkpoints=AuditCheckpoints(context, store),
        client=lambda _audience: AppboyClient(group, timeout_s=10),
    ).confirm()


if __name__ == "__main__":
    main()
