"""Run by a Python that has braze-client: what it gets from an address, as JSON."""

import json
import sys

from braze.client import BrazeClient, BrazeClientError

given = json.loads(sys.argv[1])
client = BrazeClient(given["key"], given["url"])


def refused(client: BrazeClient, users: list) -> str:
    try:
        client.campaign_trigger_schedule_create(
            given["campaign"], {"time": given["time"]}, recipients=[{"external_user_id": user} for user in users]
        )
    except BrazeClientError as error:
        return str(error.args[0])
    return "taken"


print(
    json.dumps(
        {
            "exported": client.user_export(external_ids=given["users"], fields_to_export=["campaigns_received"]),
            "created": client.campaign_trigger_schedule_create(
                given["campaign"],
                {"time": given["time"]},
                recipients=[{"external_user_id": user} for user in given["users"]],
            ),
            "too_many": refused(client, list(map(str, range(51)))),
            "wrong_key": refused(BrazeClient("wrong", given["url"]), ["ann"]),
        }
    )
)
