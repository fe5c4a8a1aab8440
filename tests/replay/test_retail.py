"""Rows of the data set as events."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestion.dialects import pipeline
from persona.lib.clock import parse_instant
from persona.replay import retail
from tests.replay.conftest import Row, row, written


def only(path: Path, *rows: Row, shift: int = 0) -> dict[str, Any]:
    (event,) = retail.events(written(path / "retail.csv", *rows), shift=shift)
    return event


def test_an_order_line(tmp_path: Path) -> None:
    assert only(tmp_path, row()) == {
        "type": "track",
        "event": "order_line",
        "messageId": "retail-2",
        "timestamp": "2010-12-01T08:26:00.000Z",
        "userId": "17850",
        "properties": {
            "invoice": "536365",
            "stock_code": "85123A",
            "description": "WHITE HANGING HEART T-LIGHT HOLDER",
            "quantity": 6,
            "unit_price": 2.55,
            "total": 15.3,
            "cancelled": False,
            "country": "United Kingdom",
        },
    }


@pytest.mark.parametrize(
    ("quantity", "price", "total"),
    [
        ("-6", "2.55", -15.3),  # a return
        ("1", "0.001", 0.001),
        ("3", "0.125", 0.375),
        ("3", "1.1", 3.3),  # 3 * 1.1 is 3.3000000000000003
        ("7", "0.0", 0.0),
        ("1", "-11062.06", -11062.06),  # a bad debt that was adjusted
    ],
)
def test_the_total_is_rounded_once(tmp_path: Path, quantity: str, price: str, total: float) -> None:
    properties = only(tmp_path, row(quantity=quantity, price=price))["properties"]
    assert properties["total"] == total
    assert properties["quantity"] == int(quantity)
    assert properties["unit_price"] == float(price)


def test_a_cancellation(tmp_path: Path) -> None:
    properties = only(tmp_path, row("C536379", quantity="-1"))["properties"]
    assert (properties["cancelled"], properties["invoice"]) == (True, "C536379")


def test_without_a_customer_the_invoice_is_the_person(tmp_path: Path) -> None:
    event = only(tmp_path, row(customer=""))
    assert event["anonymousId"] == "invoice-536365"
    assert "userId" not in event


@pytest.mark.parametrize("customer", ["17850.0", "17850"])
def test_a_customer_is_a_whole_number(tmp_path: Path, customer: str) -> None:
    assert only(tmp_path, row(customer=customer))["userId"] == "17850"


def test_a_quoted_description_may_hold_anything(tmp_path: Path) -> None:
    text = 'SET OF 3, "BLUE"\nLARGE é'
    assert only(tmp_path, row(description=text))["properties"]["description"] == text


def test_instants_move_together_and_ids_stay(tmp_path: Path) -> None:
    path = written(tmp_path / "retail.csv", row(), row(at="2011-12-09 12:50:00"))
    assert retail.span(path) == (2, parse_instant("2011-12-09T12:50:00Z"))
    events, moved = list(retail.events(path)), list(retail.events(path, shift=86_400_000))
    assert [event["timestamp"][:10] for event in moved] == ["2010-12-02", "2011-12-10"]
    assert [event["messageId"] for event in moved] == [event["messageId"] for event in events]
    assert len({event["messageId"] for event in events}) == 2


def test_a_packed_file_is_the_same(tmp_path: Path) -> None:
    plain = written(tmp_path / "retail.csv", row(), row(customer=""))
    packed = tmp_path / "retail.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(retail.events(packed)) == list(retail.events(plain))


def test_batches_hold_every_row_in_order(tmp_path: Path) -> None:
    path = written(tmp_path / "retail.csv", *(row(str(number)) for number in range(10)))
    batches = list(retail.batches(path, shift=0, size=4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert [event for batch in batches for event in batch] == list(retail.events(path))


def test_what_comes_out_is_what_the_ingest_takes(tmp_path: Path) -> None:
    path = written(tmp_path / "retail.csv", row(), row("C1", quantity="-1"), row(customer="", price="0.001"))
    reading = pipeline.read(msgspec.json.encode({"batch": list(retail.events(path))}))
    assert (len(reading.events), reading.rejections) == (3, [])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(at="soon")], "line 2: InvoiceDate 'soon'"),
        ([row(), row(quantity="six")], "line 3: Quantity 'six'"),
        ([row(price="")], "line 2: UnitPrice ''"),
        ([("536365", "85123A")], "line 2"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path: Path, rows: list[Row], said: str) -> None:
    with pytest.raises(retail.NotRetail, match=said):
        list(retail.events(written(tmp_path / "retail.csv", *rows)))


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "other.csv", ("1", "2"), columns=("a", "InvoiceNo"))
    with pytest.raises(retail.NotRetail, match=r"other\.csv: the columns .*Quantity.* are missing"):
        retail.span(path)
