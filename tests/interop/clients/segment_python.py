"""segment-analytics-python: URL KEY N."""

import sys

from segment.analytics.client import Client

url, key, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
POISON = "n" * 201  # a name one character too long, in the middle of a batch
lost: list[object] = []


def on_error(error: Exception, batch: list[object]) -> None:
    lost.append(error)


client = Client(key, host=url, on_error=on_error, upload_interval=0.1)
for number in range(n):
    client.track(f"segment-python-{number % 7}", "order_placed", {"total": number, "page.path": "/checkout"})
    if number == n // 2:
        client.track("segment-python-0", POISON)
client.identify("segment-python-0", {"plan": "team"})
client.flush()
client.join()
print(f"lost batches: {len(lost)}", *lost)  # noqa: T201 - what the test reads
