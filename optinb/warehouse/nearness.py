"""Whether a header of a delivered file nearly is a column of the contract. Pure.

The tables of names hold what people call these columns, without signs between words and in lower case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache


def _many(names: str) -> frozenset[str]:
    return frozenset(names.split())


_PUSH = _many(
    "optin pushoptin pushopt pushoptedin optedin optinpush optedinpush pushconsent consentpush pushconsentgiven "
    "pushpermission pushallowed allowpush pushok pushagreed pushaccepted pushsubscribe pushsubscribed "
    "pushsubscription pushenabled pushenable enablepush pushactive pushon pushnotifications pushnotificationsenabled "
    "notificationsenabled notificationenabled notificationsallowed notificationoptin notificationsoptin "
    "push pushnotification pushnotif notifications allownotifications notificationpermission notificationspermission "
    "pushstatus consent subscribed issubscribed enabled isenabled"
)
_NO_PUSH = _many(
    "optout pushoptout optedout pushoptedout optoutpush pushdisabled pushdisable disablepush pushoff pushblocked "
    "nopush notificationsdisabled unsubscribed pushunsubscribed pushunsubscribe pushrefused pushdenied"
)
NAMES: Mapping[str, frozenset[str]] = {
    "customer_id": _many(
        "customer customernumber customerno customerkey customerref custid custno clientid userid memberid personid "
        "accountid kundennummer kundennr kundenid"
    ),
    "external_user_id": _many(
        "externalid extid extuserid extuser externaluser externaluid externalcustomerid brazeid brazeuserid "
        "brazeexternalid brazeexternaluserid appboyid appboyuserid appboyexternalid appboyexternaluserid "
        "userid uid useruid useruuid"
    ),
    "registered_at": _many(
        "registered registrationdate registrationtime registeredon registereddate registeredsince signupdate signupat "
        "signedupat createdat customersince joinedat"
    ),
    "time_zone": _many("tz tzname tzid timezoneid timezonename ianatimezone ianatz ianazone"),
    "gender": frozenset({"sex"}),
    "birth_date": _many("dob birthday dateofbirth birthdt bday borndate"),
    "push_opt_in": _PUSH,
    "push_enabled": _PUSH,
    "is_blocked": _many(
        "blocked blacklisted isblacklisted onblacklist blacklist blocklisted isblocklisted blocklist denylisted "
        "isdenylisted banned isbanned isbarred donotcontact donotpush dnc isdnc block isblock suppressed "
        "issuppressed"
    ),
    "is_test": _many("test testuser testcustomer testaccount testprofile testid tester testing"),
    "app_id": _many("app application applicationid appkey appname bundleid"),
    "app_version": _many("version appver appversionname versionname clientversion appvers appbuildversion"),
    "first_used_at": _many("firstused firstuse firstusedon firstuseat firstseen firstseenat firstopenat"),
    "last_used_at": _many("lastused lastuse lastusedon lastuseat lastseen lastseenat lastopenat lastopen lastactiveat"),
    "transaction_id": _many("orderid ordernumber orderno txid trxid txnid transactionno receiptid"),
    "occurred_at": _many(
        "occurred timestamp time date datetime occurredon eventtime eventdate orderdate orderedat transactiondate "
        "purchasedat happenedat"
    ),
    "amount": _many("price total value revenue sum orderamount orderprice betrag"),
    "currency": _many("curr ccy currencycode currencyiso isocurrency currencyname"),
    "quantity": _many("qty quantities itemquantity"),
    "product": frozenset({"productname"}),
    "category": frozenset({"productcategory", "categories", "categoryname"}),
    "promo_code": _many("couponcode vouchercode promotioncode discountcode"),
    "name": _many("event eventname eventtype"),
    "value": frozenset({"eventvalue"}),
    "properties": _many("props eventproperties eventprops"),
}
# They say the contrary, so that a rename alone would turn everybody's answer round.
OPPOSITES: Mapping[str, frozenset[str]] = {
    "push_opt_in": _NO_PUSH,
    "push_enabled": _NO_PUSH,
    "is_blocked": _many("unblocked notblocked isunblocked isnotblocked contactable iscontactable"),
    "is_test": _many("nottest isnottest isreal isrealuser realuser"),
}

_AFFIXES = _many(
    "flag flg yn bool boolean ind indicator is has the customer customers cust user users profile appusers app_users "
    "transactions events braze appboy col column field raw utc ts dt current any_value max min first x y c u t"
)
# Run together, one letter or a short word could be a part of another word.
_JOINED = _many("flag yn bool boolean indicator is has customer customers user users profile braze appboy utc")
_SHORT = 4
# Usual words that differ by one letter from a column of the contract.
_OTHER_WORDS = frozenset({"islocked", "county", "render", "isbest", "istext"})
_WHO = r"push|mail|email|sms|text|app|user|customer|marketing|newsletter|mobile|web|double|is|has"
_OPT = re.compile(
    rf"(?:^|_|{_WHO})opt(?:ed)?_?(?P<way>in|out)s?(?:_?(?:flag|yn|bool|boolean|ind|indicator|status|state))?$"
)
_PUSH_OPT = re.compile(r"push_?(?:notifications?_?)?opt(?:ed)?_?(?P<way>in|out)")


def near(header: str, column: str) -> bool:
    """Whether a header, which isn't the column's own name, is likely to mean a column of the contract."""
    return header != column and _near(header, column)


def opposite(header: str, column: str) -> bool:
    """Whether a header seems to say the contrary of a yes-or-no column of the contract."""
    if column not in OPPOSITES:
        return False
    found = _opt_way(header) if column in ("push_opt_in", "push_enabled") else None
    return found == "out" or not OPPOSITES[column].isdisjoint(_forms(header))


def misspelt(name: str, column: str) -> bool:
    """Whether a name is a column's own in another spelling, or with a slip of the pen."""
    goal = squashed(column)
    return name != column and any(form == goal or _slip(form, goal) for form in _parts(name))


def nearest(headers: Iterable[str], column: str) -> str | None:
    """The first of some headers that is near a column, one of the same letters before all others."""
    found = [header for header in headers if near(header, column)]
    return min(found, key=lambda header: squashed(header) != squashed(column), default=None)


def squashed(name: str) -> str:
    """A name without case, signs and blanks."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", name).casefold() if sign.isalnum())


@lru_cache(maxsize=20_000)
def _near(header: str, column: str) -> bool:
    goal = squashed(column)
    forms = _forms(header)
    if goal in forms or not NAMES.get(column, frozenset()).isdisjoint(forms):
        return True
    if column in ("push_opt_in", "push_enabled") and _opt_way(header):
        return True
    if opposite(header, column):
        return True
    return any(_slip(form, goal) for form in _parts(header) if form not in _OTHER_WORDS)


def _opt_way(header: str) -> str | None:
    """`in` or `out`, where a header is about opting in or out of something, or about when that was for push."""
    name = "_".join(_words(header))
    found = _OPT.search(name) or _PUSH_OPT.search(name)
    return found["way"] if found else None


def _words(header: str) -> list[str]:
    text = unicodedata.normalize("NFKC", header).casefold()
    return [word for word in re.split(r"[\W_]+", text) if word]


def _parts(header: str) -> set[str]:
    """A header's letters, also without small words and numbers before and behind."""
    words = _words(header)
    forms = {"".join(words)}
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            if all(word in _AFFIXES or word.isdigit() for word in words[:start] + words[end:]):
                forms.add("".join(words[start:end]))
    return forms


def _forms(header: str) -> frozenset[str]:
    """The same, and without small words that are written together with others."""
    forms = _parts(header)
    waiting = list(forms)
    while waiting:
        form = waiting.pop()
        shorter = {form.rstrip("0123456789")}
        for affix in _JOINED:
            shorter |= {form.removeprefix(affix), form.removesuffix(affix)}
        for found in shorter - forms:
            if len(found) >= _SHORT:
                forms.add(found)
                waiting.append(found)
    return frozenset(forms)


def _slip(form: str, goal: str) -> bool:
    """Whether a few letters were mistyped. In a short name no letter may stand for another, or it is another word."""
    most = 2 if goal in ("pushoptin", "pushenabled") or len(goal) >= 12 else 1 if len(goal) > 5 else 0
    if not most or abs(len(form) - len(goal)) > 1:
        return False
    if len(goal) <= 7 and len(form) == len(goal) and sorted(form) != sorted(goal):
        return False
    return _distance(form, goal) <= most


def _distance(a: str, b: str) -> int:
    """How many letters are left out, too many, wrong, or exchanged with their neighbour."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        row = [i]
        for j, right in enumerate(b, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
