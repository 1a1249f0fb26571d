from __future__ import annotations

import pkgutil
import re
import sys
from subprocess import run

import pytest
from IPython.core.interactiveshell import InteractiveShell
from jinja2 import DictLoader
from msgspec import Struct
from page_text import text_of

from optinb import attr, did, show, views
from optinb.demo import CAMPAIGNS
from optinb.measure import CampaignSummary
from optinb.nightly import Blocked, Night
from optinb.show import customers, pages
from optinb.show.registry import Shown
from optinb.views.tables import typical


@pytest.fixture
def shell():
    made = InteractiveShell()
    views.install(made)
    return made


@pytest.fixture
def html(shell):
    """What a notebook shows for a value, as text; it must look right offline and run nothing."""

    def shown(value) -> str:
        data, _ = shell.display_formatter.format(value)
        page = data["text/html"]
        assert not re.search(r"<script|<link|@import|url\((?![\"']data:)|\ssrc=|href=[\"']?http", page)
        return text_of(page)

    return shown


def test_workspace_says_where_and_who(html, ws):
    shown = html(ws)
    assert "You are demo-author" in shown
    assert "Shop, Club" in shown
    assert "delivery of Mon 23 Nov 2026" in shown


def test_preview_shows_count_reach_and_waterfall(html, ws):
    found = ws.preview(attr("country") == "DE", app_group="Shop")
    shown = html(found)
    assert f"{found.customers:,} of {found.total:,} customers" in shown
    assert "Reach in the app group Shop" in shown
    assert "Shop for iPhone (ios)" in shown
    assert f"A push message arrives {found.waterfall.recipients:,}" in shown


def test_preview_of_an_empty_group_says_what_to_do(html, ws):
    assert "Loosen a condition" in html(ws.preview(attr("country") == "XX"))


def test_parts_of_a_preview_can_be_shown_alone(html, ws):
    found = ws.preview(did("purchase"))
    assert "Get the message" in html(found.waterfall)
    assert "Any of them" in html(found.reach)
    assert found.sentence in html(ws.groups.count(did("purchase")))


def test_import_report_shows_every_reject_with_its_reason(html, ws):
    report = ws.import_delivery()
    shown = html(report)
    assert "Imported before; nothing changed." in shown
    for table in report.tables:
        assert f"{table.table} {table.read:,} {table.loaded:,} {table.quarantined:,}" in shown


def test_customer_model_shows_stages_thresholds_and_their_plot(html, shell, ws):
    model = ws.model()
    shown = html(model)
    assert f"{model.stages['active']:,}" in shown
    assert f"after more than {model.thresholds.churn_days} days without a purchase" in shown
    assert "<svg" in shell.display_formatter.format(model)[0]["text/html"]


def test_lists_of_groups_templates_campaigns_and_syncs_have_tables(html, ws):
    for campaign in CAMPAIGNS[:1]:
        ws.campaigns.submit(campaign)
    assert "Lapsed buyers" in html(ws.groups.list())
    assert "can't be used, and why" in html(ws.templates.list("Shop"))
    assert "submitted" in html(ws.campaigns.list())
    assert "Shop" in html(ws.templates.sync("Shop"))
    assert "Lapsed buyers" in html(ws.groups.get("Lapsed buyers"))


def test_a_diagnosis_and_messages_of_single_customers_are_shown(html, ws):
    shown = html(ws.doctor("Shop"))
    assert "credential good the key env:OPTINB_SHOP_KEY is accepted" in shown
    assert "permission campaigns.trigger.send can't be told" in shown
    assert "who works note names are asserted" in shown
    sent = ws.campaigns.test_send(CAMPAIGNS[0])
    first = sent.sent[0]
    assert f"Sent to {len(sent.sent)} test customers" in html(sent)
    assert first.messages[0].alert in html(ws.campaigns.message(CAMPAIGNS[0], first.customer_id))


class Umbrellas(Struct):
    """A figure that nobody shows yet."""

    __module__ = "optinb.segments.umbrellas"
    sold: int


def test_a_new_figure_is_shown_everywhere_by_one_entry_of_one_module(monkeypatch):
    entry = Shown(
        "optinb.segments.umbrellas.Umbrellas",
        text=lambda found: f"{found.sold:,} umbrellas",
        page="umbrellas",
        many=True,
    )
    template = "<ul>{% for one in shown %}<li>{{ one.sold|n }}</li>{% endfor %}</ul>"
    environment = pages._templates()
    monkeypatch.setattr(environment, "loader", DictLoader({"umbrellas.html.j2": template}))
    monkeypatch.setattr(customers, "SHOWN", (*customers.SHOWN, entry))
    shell = InteractiveShell()
    views.install(shell)
    one, other = Umbrellas(1_000), Umbrellas(2_000)
    data, _ = shell.display_formatter.format(one)
    assert data == {"text/plain": "1,000 umbrellas", "text/html": "<ul><li>1,000</li></ul>"}
    assert shell.display_formatter.format([one, other])[0]["text/html"] == "<ul><li>1,000</li><li>2,000</li></ul>"
    assert show.text((one, other)) == "1,000 umbrellas\n\n2,000 umbrellas"


def test_what_has_no_form_is_shown_as_its_fields_and_is_no_html():
    assert show.text(Umbrellas(1_000)) == "sold: 1,000"
    with pytest.raises(TypeError, match="Umbrellas has no form as HTML"):
        show.html(Umbrellas(1))


def test_a_value_is_shown_without_what_shows_others():
    code = (
        "import sys; from optinb import show; print(sorted(sys.modules)); "
        "from optinb.base.workspace_folder import NewWorkspace; "
        "show.text(NewWorkspace(folder='a', settings='b', inbox='c')); "
        "print([name for name in sys.modules if name.startswith('optinb.show.')])"
    )
    light, shown = run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert not {"polars", "duckdb", "altair", "jinja2", "sqlalchemy"} & set(re.findall(r"'(\w+)'", light))
    assert "optinb.show.workspace" in shown
    assert not re.search(r"show\.(customers|campaigns|delivery|charts)", shown)


def test_other_lists_stay_as_they_are(shell):
    for value in ([], [1, 2], ["a", 3], (1,)):
        assert "text/html" not in shell.display_formatter.format(value)[0]


def test_campaign_preview_shows_the_message(html, ws):
    found = ws.campaigns.preview(CAMPAIGNS[0])
    assert found.sample[0].messages[0].alert in html(found)


def test_night_shows_itself_step_by_step(html, ws):
    ws.campaigns.submit(CAMPAIGNS[0])
    night = Night(ws, ws.today())
    assert "Night of Mon 23 Nov 2026" in html(night)
    night.import_delivery()
    night.templates()
    assert "is submitted, not approved" in html(night.audiences())
    assert "campaign held" in html(night.report())
    assert "Mon 23 Nov 2026" in html(ws.status())
    assert "Summer, lapsed held" in html(ws.why("C000001"))


def test_blocked_step_is_bad_news(html):
    assert "Not done (import): too few customers" in html(Blocked(step="import", reason="too few customers"))


def test_campaign_of_a_night_shows_its_outcomes(html):
    sent = CampaignSummary(name="A", app_group="Shop", template="T", target=9, recipients=9, accepted=7, unknown=2)
    shown = html((sent,))
    assert "7 of 9 accepted" in shown
    assert "7 accepted by Appboy, 2 unknown" in shown


def test_terminals_get_plain_text(shell, ws):
    data, _ = shell.display_formatter.format(ws.groups.get("Lapsed buyers"))
    assert data["text/plain"].startswith("Lapsed buyers (version 1, demo-author")


def test_attributes_are_listed_with_kind_meaning_and_values(ws):
    shown = text_of(views.attributes(ws).data)
    assert re.search(r"country text 9\d\.\d% .*DE", shown) or "country text 100.0%" in shown
    assert "recency_days number" in shown
    assert "Days since the latest purchase" in shown


def test_campaigns_are_listed_once_there_are_some(ws):
    assert "No campaign is planned yet." in text_of(views.campaigns(ws).data)
    ws.campaigns.submit(CAMPAIGNS[0])
    assert "Summer, lapsed by demo-author submitted" in text_of(views.campaigns(ws).data)


def test_stages_are_counted(ws):
    counts = ws.customers().collect()["stage"].value_counts()
    shown = text_of(views.stages(ws).data)
    for stage, count in counts.iter_rows():
        assert f"{stage} {count:,}" in shown


def test_typical_values_are_short():
    import polars as pl

    assert typical(pl.Series([None, 1.5, 12345.678]), "number") == "1.5 to 12,346"
    assert typical(pl.Series("x", ["a", "b", "a"]), "text").startswith("a, b")
    assert typical(pl.Series([None], dtype=pl.String), "text") == "no value yet"
    assert typical(pl.Series("id", [f"C{n}" for n in range(50)]), "text") == "such as C0"


def test_install_imports_nothing_heavy():
    heavy = {"polars", "duckdb", "altair", "jinja2", "sqlalchemy", "ipywidgets", "great_tables"}
    code = "import sys; from optinb import views; views.install(); print(sorted(sys.modules))"
    loaded = run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not heavy & set(re.findall(r"'(\w+)'", loaded))


def test_install_without_a_shell_does_nothing():
    views.install()


def test_no_view_is_hidden_by_a_module_of_its_name_once_that_is_imported():
    modules = {module.name for module in pkgutil.iter_modules(views.__path__)}
    assert not modules & set(views.__all__)
