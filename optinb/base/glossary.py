"""The words of the field, each in one plain sentence, and how a page shows a word with its meaning.

Pages say where words are explained: in the heads of tables, in lists of facts, and in whatever has the attribute
`data-terms`. None of these may hold what customers or marketers write, nor a control.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from html import escape

GLOSSARY: Mapping[str, str] = {
    "accepted": "Taken over by Appboy; whether a message reaches the phone shows in its figures later.",
    "app group": "Apps that share users, templates and a key in Appboy, such as one brand's for iOS and Android.",
    "approval": "A second person's yes to a campaign just as it is; whatever changes it asks for a new one.",
    "auc": "How well a forecast ranks customers: 0.5 is no better than chance, 1 is perfect.",
    "audience": "The customers whom a campaign considers on one night, each with what became of them and why.",
    "bounced": "Given back by the push service of the phone, mostly since the app was removed.",
    "campaign": "A target group, a template and a schedule together: who gets which message, and when.",
    "churn risk": "The chance that a customer who still buys will buy nothing in the coming weeks.",
    "confirmed": "Accepted, and later reported by Appboy as sent to the customer.",
    "contact rules": "What protects customers from too many messages: caps, quiet hours and exclusion periods.",
    "control group": "Customers of the target group who get no message, by lot, so that one can see what it brought.",
    "conversion": "That a customer does within the measurement window what the campaign is meant to bring about.",
    "dispatch": "One request to Appboy with at most 50 recipients, by which it names what it sent.",
    "exclusion period": "The days after a campaign in which its customers get no other campaign.",
    "filtered": "Accepted, and then not sent by Appboy, by a rule of its own or since no push could arrive.",
    "future value": "What a customer is expected to spend in the coming year, as the model tells.",
    "global control group": "Customers who never get a campaign, by lot, so that one can see what all campaigns bring.",
    "lifecycle stage": "Where customers stand by their purchases: new, active, at rest for too long, or back again.",
    "lift": "How many times as often, or as much, as among all others.",
    "measurement window": "The days after a message in which what customers do counts as its result.",
    "micro-segment": "Customers of a lifecycle stage who spend, buy and use apps alike, named in words.",
    "offer": "What a message promises, such as a discount or a gift, with its terms and codes.",
    "opened directly": "Opened by a tap on the message; “opened” also counts who opened the app soon after it.",
    "platform": "The kind of device that an app runs on: iOS, Android, Kindle or the web.",
    "reachable": "Uses an app that can take push messages, with push switched on, and has agreed to get them.",
    "recipient": "A customer to whom a message goes: whom no rule leaves out, and no lot puts into the control group.",
    "refused": "Turned down by Appboy, for the reason that it gives.",
    "run date": "The night as of which customers are counted; “44 days ago” counts back from it.",
    "target group": "A saved rule that says which customers are meant; it is counted anew each night.",
    "template": "A push message with its texts, made in Appboy, which a campaign fills in for each customer.",
    "unknown": "Without an answer from Appboy, so that it may have gone out; it is never sent a second time.",
    "uplift": "How much more the customers who got a message did than those of the control group.",
    "variant": "One of several forms of a campaign's message, each for a share of its customers.",
}


ALSO_CALLED: Mapping[str, str] = {"control": "control group", "stage": "lifecycle stage"}

_PLACE = re.compile(
    r'<(th|dt|p|h\d|caption|span)(?: scope="col"| data-terms|(?<=<dt)(?=>))(?=[\s>])[^>]*>(.*?)</\1>', re.DOTALL
)
_TAG = re.compile(r"(<[^>]*>)")


@cache
def _words() -> re.Pattern[str]:
    names = sorted((*GLOSSARY, *ALSO_CALLED), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, names))})s?(?![\w'’-])", re.IGNORECASE)


def explained(html: str) -> str:
    """Gives the words of the glossary their meanings, each where a piece of a page explains it first.

    A meaning shows on hover, on focus and on touch, and is read aloud.

    Args:
        html: a page, or what is shown in one place of it.
    """
    told: set[str] = set()

    def mark(found: re.Match[str]) -> str:
        word = found[1].lower()
        name = ALSO_CALLED.get(word, word)
        if name in told:
            return found[0]
        told.add(name)
        return f'<dfn class="ob-term" tabindex="0" aria-description="{escape(GLOSSARY[name])}">{found[0]}</dfn>'

    def explain(place: re.Match[str]) -> str:
        start, end = (at - place.start() for at in place.span(2))
        texts = [part if part.startswith("<") else _words().sub(mark, part) for part in _TAG.split(place[2])]
        return f"{place[0][:start]}{''.join(texts)}{place[0][end:]}"

    return _PLACE.sub(explain, html)
