"""Kill everything, for minutes: `python bench/crash.py --minutes 5 --kills 60`. Needs the development requirements.

Starts an installation of its own on 127.0.0.1 in a temporary folder. Writers send batches over HTTP, each until it is
acknowledged; a reader follows the stream; meanwhile web, worker, bulk, beat and PostgreSQL are ended with kill -9,
alone and in pairs. In the end every acknowledged event must be stored once, the log gap-free and equal to the
memberships, these equal to a plain count, and the reader must have heard every change once. Exit code 1 if not.
"""

import argparse
import random
import statistics
import sys
import time

import installation

from tests.e2e.ordeal import Account, Ordeal
from tests.stack import wait_for

PARTS = ("web", "worker", "postgres", "bulk", "deliver", "beat")
NEVER_BEFORE = 0.5  # seconds between two kills at least


def main() -> int:
    given = arguments()
    seed = given.seed if given.seed is not None else time.time_ns() % 1_000_000
    print(f"seed {seed}: {given.kills} kills within {given.minutes} min, {given.writers} writers", flush=True)
    with installation.installation() as stack:
        ordeal = Ordeal(stack, name=f"crash-{seed}", seed=seed, writers=given.writers, pace=given.pace)
        ordeal.start()
        began = time.monotonic()
        torment(ordeal, random.Random(seed), minutes=given.minutes, kills=given.kills)
        seconds = time.monotonic() - began
        try:
            account = ordeal.finish()
        except AssertionError as error:
            print(f"FAILED, seed {seed}: {error}\n--- the installation's log ---\n{stack.log[-20_000:]}")
            return 1
    report(ordeal, account, seconds)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="0.1 to 60: no further kill after that")
    parser.add_argument("--kills", type=int, default=30, choices=range(1, 1_001), metavar="1..1000")
    parser.add_argument("--writers", type=int, default=2, choices=range(1, 17), metavar="1..16")
    parser.add_argument("--pace", type=float, default=0.004, help="seconds between two batches of a writer")
    parser.add_argument("--seed", type=int, help="of people, events and kills")
    given = parser.parse_args()
    if not 0.1 <= given.minutes <= 60:
        parser.error("--minutes: from 0.1 to 60")
    return given


def torment(ordeal: Ordeal, dice: random.Random, *, minutes: float, kills: int) -> None:
    """Kill at random moments, spread over the time."""
    end = time.monotonic() + minutes * 60
    for number in range(kills):
        left = end - time.monotonic()
        if left <= 0:
            return
        moment = time.monotonic() + NEVER_BEFORE + dice.uniform(0, 2 * left / (kills - number))
        wait_for(lambda moment=moment: time.monotonic() > min(moment, end) and ordeal.batches, "the moment", 7_200)  # type: ignore[misc]  # bound at once
        names = dice.sample(PARTS, dice.choice((1, 1, 1, 2)))
        ordeal.crash(*names)
        again = f"batches again after {ordeal.away['+'.join(names)][-1]:.1f} s"
        if dice.random() < 0.5:  # else the next kill may come before they have recovered
            again += f", changes {ordeal.wait_for_a_change(120):.1f} s later"
        print(f"{'+'.join(names):16} killed, {again}", flush=True)


def report(ordeal: Ordeal, account: Account, seconds: float) -> None:
    kills = ", ".join(f"{name} {n}" for name, n in sorted(ordeal.kills.items()))
    answers = ", ".join(f"{answer} {n:,}" for answer, n in account.answers.most_common())
    print(f"\nEverything is as it must be after {seconds:.0f} s and {sum(ordeal.kills.values())} kills ({kills}).")
    print(f"  {account.events:,} events acknowledged and stored once; answers: {answers}")
    print(f"  {account.changes:,} changes heard once over {account.connections} connections, without gap or disorder")
    print(f"  {account.timely:,} leaves by time, each at its exact instant; members: {account.members}")
    for names, away in sorted(ordeal.away.items()):
        print(f"  {names:16} batches again after {statistics.median(away):.1f} s (median), {max(away):.1f} s (most)")


if __name__ == "__main__":
    sys.exit(main())
