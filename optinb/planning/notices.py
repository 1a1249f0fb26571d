"""Telling others what became of a campaign: a link for people, and a command of the team's own that passes it on."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from optinb.base.context import Context
    from optinb.base.settings import Settings

_log = logging.getLogger("optinb.workspace")
LinkedTab = Literal["approve", "plan"]
What = Literal["submitted", "approved", "rejected", "commented"]
# What of the environment the command is given: no key of an app group, and no password of a database.
PASSED_ON = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SYSTEMROOT", "TMPDIR", "TZ", "USER")
STEPS: dict[str, What] = {"submit": "submitted", "approve": "approved", "reject": "rejected"}


class Notice(Struct, frozen=True, kw_only=True):
    """What the command gets as JSON: never what a customer is called, nor what a comment says.

    Attributes:
        campaign: its name.
        what: what happened to it.
        who: whose doing it was.
        at: when, in UTC.
        link: where somebody goes on with it; None where the settings don't say where the pages are.
    """

    campaign: str
    what: What
    who: str
    at: datetime
    link: str | None


def page_link(settings: Settings, tab: LinkedTab, campaign: str) -> str | None:
    """The address of a campaign on a tab of the pages; None where the settings don't say where the pages are."""
    address = settings.serve.address
    if address is None:
        return None
    joint = "&" if urlsplit(address).query else "?"
    return f"{address}{joint}tab={tab}&campaign={quote(campaign, safe='')}"


def approving_command(campaign: str) -> str:
    """The command that approves a campaign, for whoever has no pages."""
    return f"optinb campaigns approve {shlex.quote(campaign)}"


class Notices:
    """`ws.notices`: calls the command of `[notify]`; `problem` says why the last call failed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.problem: str = ""

    def tell(self, campaign: str, what: What) -> None:
        """Tells of something that happened; a failure stops nothing, and is told in the log and as `problem`."""
        self.problem = ""
        context, settings = self._context, self._context.settings.notify
        if not settings.command:
            return
        link = page_link(context.settings, "approve" if what == "submitted" else "plan", campaign)
        notice = Notice(campaign=campaign, what=what, who=context.user, at=context.now(), link=link)
        try:
            done = subprocess.run(
                settings.command,
                input=msgspec.json.encode(notice),
                env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
                cwd=context.root,
                timeout=settings.within_s,
                capture_output=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.problem = f"it took longer than {settings.within_s:g} seconds"
        except OSError as error:
            self.problem = f"it can't be started: {error.strerror}"
        else:
            self.problem = f"it ended with exit code {done.returncode}" if done.returncode else ""
        if self.problem:
            self.problem = f"nobody was told of it by {settings.command[0]!r} ([notify] in optinb.toml): {self.problem}"
            _log.warning(self.problem, extra={"campaign": campaign, "what": what})
