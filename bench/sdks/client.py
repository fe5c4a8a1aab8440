"""client.py ours|segment URL N: tracks N events and ends. Prints when it began and what it has cost, as JSON."""

import json
import sys
import time
from collections.abc import Callable

PROPERTIES = {"product_id": "sku-1234", "category": "shoes", "price": 40.5, "quantity": 2, "path": "/checkout"}


def ours(url: str, n: int) -> tuple[Callable[[int], object], Callable[[], object]]:
    from persona_sdk import Options, Persona

    persona = Persona("pk_bench", url=url, options=Options(max_queue=n + 1, max_queue_bytes=1 << 30))
    return lambda number: persona.track("order_placed", PROPERTIES, user_id=f"user-{number}"), lambda: persona.close(
        600_000
    )


def segment(url: str, n: int) -> tuple[Callable[[int], object], Callable[[], object]]:
    from segment.analytics.client import Client

    client = Client("pk_bench", host=url, max_queue_size=n + 1)

    def end() -> None:
        client.flush()
        client.join()

    return lambda number: client.track(f"user-{number}", "order_placed", PROPERTIES), end


which, url, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
track, end = {"ours": ours, "segment": segment}[which](url, n)
began, at, cpu = time.time(), time.perf_counter(), time.process_time()
for number in range(n):
    track(number)
tracked = time.process_time() - cpu
end()
seconds, cpu = time.perf_counter() - at, time.process_time() - cpu
sys.stdout.write(json.dumps({"began": began, "seconds": seconds, "cpu": cpu, "tracked": tracked}))
