"""What somebody who looks into the dashboard says of the templates of a workspace, for tests of anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.appboy import TemplateRules

if TYPE_CHECKING:
    from optinb.workspace import Workspace


def state_any_time(ws: Workspace) -> None:
    """States of every usable template that customers may get it again at any time, so that campaigns may recur."""
    for template in ws.templates.list():
        if template.usable and ws.templates.rules(template.app_group_id, template.id) is None:
            ws.templates.set_rules(template.app_group_id, template.id, TemplateRules(again_after_s=0))
