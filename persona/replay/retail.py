"""The UCI "Online Retail" file (Chen, Sain, Guo 2012) as events: one `order_line` for each row.

Columns: InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country. Returns have a
negative quantity, invoices that begin with C are cancellations, a quarter of the rows has no customer.
"""

import csv
import gzip
import itertools
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO

from persona.lib.clock import parse_instant, rfc3339

Json = dict[str, Any]
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
BEYOND = ""  # the name of what a row has beyond its columns


class NotRetail(ValueError):
    """The file cannot be read as the data set; the text says where."""


def opened(path: Path) -> TextIO:
    """The file as text, unpacked if its name ends with .gz."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def span(path: Path) -> tuple[int, int]:
    """How many rows there are, and the latest instant among them (ms)."""
    count, latest = 0, 0
    for row in _rows(path):
        count += 1
        latest = max(latest, _instant(row, count + 1))
    return count, latest


def events(path: Path, *, shift: int = 0) -> Iterator[Json]:
    """The rows as events of the pipeline wire, in the file's order; `shift` ms are added to every instant.

    The id of an event is its line in the file, so that sending it twice adds nothing.
    """
    return (_event(line, row, shift) for line, row in enumerate(_rows(path), start=2))


def batches(path: Path, *, shift: int, size: int) -> Iterator[list[Json]]:
    """The same in lists of `size`."""
    found = events(path, shift=shift)
    while batch := list(itertools.islice(found, size)):
        yield batch


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with opened(path) as file:
            reader = csv.DictReader(file, restkey=BEYOND)
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise NotRetail(f"{path.name}: the columns {', '.join(sorted(missing))} are missing in line 1")
            for line, row in enumerate(reader, start=2):
                if None in row.values() or BEYOND in row:
                    raise NotRetail(f"line {line}: {len(COLUMNS)} fields are needed")
                yield row
    except (OSError, EOFError, csv.Error, UnicodeDecodeError) as error:
        raise NotRetail(f"{path.name} cannot be read: {error}") from None


def _instant(row: dict[str, str], line: int) -> int:
    instant = parse_instant(row["InvoiceDate"])
    if instant is None:
        raise NotRetail(f"line {line}: InvoiceDate {row['InvoiceDate']!r} is no date")
    return instant


def _number(row: dict[str, str], column: str, line: int) -> Decimal:
    try:
        number = Decimal(row[column])
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise NotRetail(f"line {line}: {column} {row[column]!r} is no number")
    return number


def _event(line: int, row: dict[str, str], shift: int) -> Json:
    quantity, price = int(_number(row, "Quantity", line)), _number(row, "UnitPrice", line)
    customer, invoice = row["CustomerID"].removesuffix(".0"), row["InvoiceNo"]
    return {
        "type": "track",
        "event": "order_line",
        "messageId": f"retail-{line}",
        "timestamp": rfc3339(_instant(row, line) + shift),
        **({"userId": customer} if customer else {"anonymousId": f"invoice-{invoice}"}),
        "properties": {
            "invoice": invoice,
            "stock_code": row["StockCode"],
            "description": row["Description"],
            "quantity": quantity,
            "unit_price": float(price),
            "total": float(quantity * price),  # exact in decimal, rounded once
            "cancelled": invoice.startswith("C"),
            "country": row["Country"],
        },
    }
