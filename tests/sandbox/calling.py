"""Calls a sandbox's world without a server, at a time that the test sets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from optinb.sandbox import SandboxRequest, World, apply, handle

if TYPE_CHECKING:
    from optinb.sandbox import DashboardCampaign

MORNING = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
EVENING = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)


class Caller:
    """Posts to a world at a time that the test sets."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = MORNING
        self.campaign = world.group("Group 1").campaigns[0].id

    def post(self, path: str, body: dict[str, Any], *, status: int = 201) -> dict[str, Any]:
        headers = {"authorization": "Bearer sandbox-group-1-key", "content-type": "application/json"}
        return self._ask(SandboxRequest("POST", path, {}, headers, json.dumps(body).encode()), status)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self._ask(SandboxRequest("GET", path, query, {"authorization": "Bearer sandbox-group-1-key"}), 200)

    def schedule(self, *users: str, time: str = "2026-11-23T18:30:00Z", campaign: int = 0, **more: Any) -> str:
        """Schedules for users; `more` are fields of the schedule, or properties of all of them."""
        properties = more.pop("properties", {})
        send_id = more.pop("send_id", None)
        body = {
            "campaign_id": self.world.group("Group 1").campaigns[campaign].id,
            "recipients": [
                {"external_user_id": user, "trigger_properties": properties.get(user, {})} for user in users
            ],
            "schedule": {"time": time, **more},
        }
        if send_id is not None:
            body["send_id"] = send_id
        return self.post("/campaigns/trigger/schedule/create", body)["schedule_id"]

    def send(self, *users: str, campaign: int = 0) -> None:
        """Sends to users now."""
        body = {
            "campaign_id": self.world.group("Group 1").campaigns[campaign].id,
            "recipients": [{"external_user_id": user} for user in users],
        }
        self.post("/campaigns/trigger/send", body)

    def change(self, verb: str, schedule_id: str, *, status: int = 201, **more: Any) -> dict[str, Any]:
        body = {"campaign_id": self.campaign, "schedule_id": schedule_id, **more}
        return self.post(f"/campaigns/trigger/schedule/{verb}", body, status=status)

    def received(self, *users: str) -> dict[str, str]:
        """When each user last received the campaign, as far as they did."""
        fields = ["external_id", "campaigns_received"]
        answer = self.post("/users/export/ids", {"external_ids": users, "fields_to_export": fields})
        return {u["external_id"]: c["last_received"] for u in answer["users"] for c in u["campaigns_received"]}

    def figures(self, day: int = -1, platform: str = "ios") -> dict[str, int]:
        """The campaign's figures of a day for a platform, with its unique recipients."""
        days = self.get("/campaigns/data_series", campaign_id=self.campaign, length="100")["data"]
        (row,) = days[day]["messages"][f"{platform}_push"]
        return {**row, "unique_recipients": days[day]["unique_recipients"]}

    def fates(self, campaign: int = 0, **more: Any) -> list[tuple[str, str, tuple[str, ...]]]:
        """User, state and rules of each recipient, in order."""
        found = self.world.fates(self.world.group("Group 1").campaigns[campaign].id, self.now, **more)
        return [(fate.external_user_id, fate.state, fate.rules) for fate in found]

    def rules(self, campaign: int = 0) -> dict[str, tuple[str, ...]]:
        """The rules by which the last request that named each user filtered it."""
        return {user: rules for user, _, rules in self.fates(campaign)}

    def edit(self, campaign: int = 0, **fields: Any) -> DashboardCampaign:
        """Somebody edits a campaign in the dashboard, now."""
        edited = replace(self.world.group("Group 1").campaigns[campaign], **fields)
        self.world.put_campaign("Group 1", edited, now=self.now)
        return edited

    def set(self, **fields: Any) -> None:
        """Somebody changes the app group, now."""
        self.world.put(replace(self.world.group("Group 1"), **fields), now=self.now)

    def _ask(self, request: SandboxRequest, status: int) -> dict[str, Any]:
        handled = handle(self.world, request, self.now)
        for change in handled.changes:
            apply(self.world, change)
        assert handled.reply.status == status, handled.reply.body
        return json.loads(handled.reply.body)
