"""segops: URL KEY N [identity secret]. With a publishable key it signs its one user and shakes hands."""

import sys

import segops

url, key, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
POISON = "n" * 201  # a name one character too long, in the middle of a batch
lost: list[BaseException] = []


def user() -> segops.UserContext:
    return segops.UserContext(**segops.sign_user_id(sys.argv[4], "segops-signed"))


client = segops.SegOpsClient(url, key, get_user=user, on_error=lost.append)
for number in range(n):
    client.track(
        user_id=f"segops-{number % 7}", event_type="order_placed", payload={"total": number, "page.path": "/checkout"}
    )
    if number == n // 2:
        client.track(user_id="segops-0", event_type=POISON, payload={})
client.identify(user_id="segops-0", traits={"plan": "team"})
client.shutdown()
print(f"lost batches: {len(lost)}", *lost)  # noqa: T201 - what the test reads
