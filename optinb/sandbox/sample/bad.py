"""The bad rows, which every first delivery of a sample has on purpose: what an import must put aside, and why.

| table        | kind                 | what is wrong                                           |
|--------------|----------------------|---------------------------------------------------------|
| customers    | duplicate key        | the id of a customer who is already in the file         |
| customers    | missing key          | no customer_id                                          |
| customers    | unparsable time      | registered_at on 30 February                            |
| customers    | unknown time zone    | Europe/Atlantis                                         |
| app_users    | unknown customer     | a customer_id that no row of customers has              |
| app_users    | unknown app          | shop-windows, which no app group has                    |
| app_users    | missing key          | no app_id                                               |
| transactions | unparsable number    | amount `12,50`, with a decimal comma                    |
| transactions | not finite           | amount `NaN`                                            |
| transactions | time in the future   | ten years after the delivery                            |
| transactions | unknown customer     | a customer_id that no row of customers has              |
| transactions | unparsable time      | occurred_at on 30 February                              |
| transactions | missing key          | no transaction_id                                       |
| events       | missing key          | no name                                                 |
| events       | unparsable time      | occurred_at at 25 o'clock                               |

Each row is wrong in one way only. They are text, because a typed file couldn't hold them.
"""

from __future__ import annotations

from datetime import date

Row = dict[str, str]


def bad_rows(*, run_date: date, width: int) -> dict[str, list[tuple[str, Row]]]:
    """The bad rows of each table with their kind, in order. Customers 1 to 3 must exist; ids from 9…97 on must not."""
    known = [str(n).zfill(width) for n in (1, 2, 3)]
    unknown, lost, nowhere = (str(10**width - n) for n in (1, 2, 3))
    at = f"{run_date.year - 1}-06-15T12:00:00+02:00"
    february_30 = f"{run_date.year}-02-30T09:15:00+01:00"
    customer = {"registered_at": at, "country": "DE", "language": "de", "time_zone": "Europe/Berlin"}
    user = {"push_enabled": "true", "app_version": "4.0.0", "first_used_at": at, "last_used_at": at}
    sale = {"customer_id": known[0], "occurred_at": at, "amount": "19.90", "currency": "EUR", "quantity": "1"}
    sale |= {"product": "shoes-01", "category": "shoes"}
    event = {"customer_id": known[0], "occurred_at": at, "name": "app_open", "properties": '{"app_id":"shop-ios"}'}

    def sale_id(n: int) -> Row:
        return {"transaction_id": f"{run_date:%y%m%d}-bad-{n}"}

    return {
        "customers": [
            ("duplicate key", {"customer_id": known[0], **customer}),
            ("duplicate key", {"customer_id": known[1], **customer}),
            ("missing key", customer),
            ("unparsable time", {"customer_id": lost, **customer, "registered_at": february_30}),
            ("unknown time zone", {"customer_id": nowhere, **customer, "time_zone": "Europe/Atlantis"}),
        ],
        "app_users": [
            ("unknown customer", {"customer_id": unknown, "app_id": "shop-ios", **user}),
            ("unknown customer", {"customer_id": unknown, "app_id": "club-android", **user}),
            ("unknown app", {"customer_id": known[2], "app_id": "shop-windows", **user}),
            ("missing key", {"customer_id": known[2], **user}),
        ],
        "transactions": [
            ("unparsable number", {**sale_id(1), **sale, "amount": "12,50"}),
            ("unparsable number", {**sale_id(2), **sale, "amount": "8,00"}),
            ("not finite", {**sale_id(3), **sale, "amount": "NaN"}),
            (
                "time in the future",
                {**sale_id(4), **sale, "occurred_at": f"{run_date.year + 10}-01-31T08:00:00+01:00"},
            ),
            ("unknown customer", {**sale_id(5), **sale, "customer_id": unknown}),
            ("unknown customer", {**sale_id(6), **sale, "customer_id": unknown}),
            ("unknown customer", {**sale_id(7), **sale, "customer_id": unknown}),
            ("unparsable time", {**sale_id(8), **sale, "occurred_at": february_30}),
            ("missing key", sale),
        ],
        "events": [
            ("missing key", {k: v for k, v in event.items() if k != "name"}),
            ("unparsable time", {**event, "occurred_at": f"{run_date}T25:00:00+01:00"}),
        ],
    }
