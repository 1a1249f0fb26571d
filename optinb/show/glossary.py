"""The words of the field, each in one plain sentence, and how a page shows a word with its meaning."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

GLOSSARY: Mapping[str, str] = {
    "app group": "Apps that share users, templates and a key in Appboy, such as one brand's for iOS and Android.",
    "approval": "A second person's yes to a campaign just as it is; whatever changes it asks for a new one.",
    "audience": "The customers whom a campaign considers on one night, each with what became of them and why.",
    "campaign": "A target group, a template and a schedule together: who gets which message, and when.",
    "churn risk": "The chance that a customer who still buys will buy nothing in the coming weeks.",
    "contact rules": "What protects customers from too many messages: caps, quiet hours and exclusion periods.",
    "control group": "Customers of the target group who get no message, by lot, so that one can see what it brought.",
    "conversion": "That a customer does within the measurement window what the campaign is meant to bring about.",
    "dispatch": "One request to Appboy with at most 50 recipients, by which it names what it sent.",
    "exclusion period": "The days after a campaign in which its customers get no other campaign.",
    "future value": "What a customer is expected to spend in the coming year, as the model tells.",
    "global control group": "Customers who never get a campaign, by lot, so that one can see what all campaigns bring.",
    "lifecycle stage": "Where customers stand by their purchases: new, active, at rest for too long, or back again.",
    "measurement window": "The days after a message in which what customers do counts as its result.",
    "micro-segment": "Customers of one lifecycle stage who spend, buy and use apps alike.",
    "offer": "What a message promises, such as a discount or a gift, with its terms and codes.",
    "platform": "The kind of device that an app runs on: iOS, Android, Kindle or the web.",
    "reachable": "Uses an app that can take push messages, with push switched on, and has agreed to get them.",
    "run date": "The night as of which customers are counted; “44 days ago” counts back from it.",
    "target group": "A saved rule that says which customers are meant; it is counted anew each night.",
    "template": "A push message with its texts, made in Appboy, which a campaign fills in for each customer.",
    "uplift": "How much more the customers who got a message did than those of the control group.",
    "variant": "One of several forms of a campaign's message, each for a share of its customers.",
}


def term(name: str, text: str = "") -> Markup:
    """A word of the glossary with its meaning, which shows on hover, on focus and on touch, and is read aloud.

    Args:
        name: a key of `GLOSSARY`.
        text: how the word stands in the sentence, where it stands there otherwise.

    Raises:
        KeyError: for a word that the glossary doesn't have.
    """
    mark = Markup('<dfn class="ob-term" tabindex="0" aria-description="{}">{}</dfn>')
    return mark.format(GLOSSARY[name], text or name)
