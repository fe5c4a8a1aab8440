"""A wave: what is due at one destination, as chains of requests in which order matters, and the sending of them.

Chains go side by side, the requests of a chain one after the other until one is not taken.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from delivery.models import Destination
from delivery.outgoing import Item, Target, Transport, Verdict
from delivery.sending import forwarding
from delivery.sending.kinds import batch_of, transport_of
from delivery.sending.queue import Waiting
from keys import sealed
from persona.lib.outbound import Answer, Post

CHAINS = 8  # requests at once to one destination
FORWARDED = 4  # the same, to an analytics product
ANSWER_KEPT = 4_000  # bytes
SECONDS = 2.0  # after which a wave starts no further request


class Parcel(msgspec.Struct, frozen=True):
    """One request: the deliveries that it stands for, and what is in it."""

    deliveries: Sequence[Waiting]
    items: Sequence[Item]


class Result(msgspec.Struct, frozen=True):
    """What became of a parcel. at: ms since 1970, this machine's clock."""

    parcel: Parcel
    answer: Answer
    verdict: Verdict
    at: int


class Wave(msgspec.Struct, frozen=True):
    """Ready to be sent. `gone`: deliveries in which nothing is left to send."""

    target: Target
    transport: Transport
    chains: Sequence[Sequence[Parcel]]
    at_once: int
    gone: Sequence[Waiting] = ()


def prepare(destination: Destination, waiting: Sequence[Waiting], *, probe: bool) -> Wave:
    """probe: one request, to see whether a receiver that failed works again. Raises sealed.Unreadable."""
    target, transport = target_of(destination), transport_of(destination)
    if destination.forwards:
        parcels = [_events(destination.project_id, one) for one in waiting]
        chains = [[parcel] for parcel in parcels if parcel.items]
        gone = [one for parcel in parcels if not parcel.items for one in parcel.deliveries]
        return Wave(target, transport, chains[:1] if probe else chains, FORWARDED, gone)
    size = batch_of(destination)
    chains = _by_profile(waiting) if size == 1 else [_in_batches(waiting, size)]
    return Wave(target, transport, [chains[0][:1]] if probe and chains else chains, CHAINS)


def target_of(destination: Destination) -> Target:
    """Where it is, and its secrets: those that count now."""
    secrets = [sealed.unseal(destination.secret)]
    until = destination.former_until
    if destination.former_secret and until is not None and until.timestamp() > time.time():
        secrets.append(sealed.unseal(destination.former_secret))
    return Target(destination.url, tuple(secrets))


async def send(wave: Wave, post: Post) -> list[Result]:
    """Send all of it, or less: once the receiver fails as a whole, or time is up, nothing more is begun."""
    results: list[Result] = []
    permits = asyncio.Semaphore(wave.at_once)
    until = time.monotonic() + SECONDS

    async def follow(chain: Sequence[Parcel]) -> None:
        for parcel in chain:
            async with permits:
                if time.monotonic() > until or any(_ends(result.verdict) for result in results):
                    return
                result = await _deliver(post, wave, parcel)
            results.append(result)
            if not is_taken(result.verdict):
                return

    await asyncio.gather(*(follow(chain) for chain in wave.chains))
    return results


def is_taken(verdict: Verdict) -> bool:
    """Whether nothing of it has to be sent again."""
    return not verdict.later and not verdict.again


async def _deliver(post: Post, wave: Wave, parcel: Parcel) -> Result:
    at = int(time.time() * 1000)
    answer = await post(wave.transport.request(wave.target, parcel.items, now=at))
    verdict = _storable(wave.transport.verdict(parcel.items, answer))
    # The answers of a wave are kept until its end: no more of each than the log shows.
    return Result(parcel, msgspec.structs.replace(answer, body=answer.body[:ANSWER_KEPT]), verdict, at)


def _storable(verdict: Verdict) -> Verdict:
    """Without the character that PostgreSQL does not keep: a receiver's own words are among these."""
    refused = {key: reason.replace("\x00", "") for key, reason in verdict.refused.items()}
    return msgspec.structs.replace(verdict, refused=refused, error=verdict.error.replace("\x00", ""))


def _ends(verdict: Verdict) -> bool:
    return verdict.blame or bool(verdict.pause)


def _by_profile(waiting: Sequence[Waiting]) -> list[list[Parcel]]:
    """What is about no profile (a gap) comes first, before all that it is about."""
    notices = [one for one in waiting if one.profile_id is None]
    if notices:
        return [[Parcel([one], [_message(one)]) for one in notices]]
    chains: dict[int | None, list[Parcel]] = {}
    for one in waiting:
        chains.setdefault(one.profile_id, []).append(Parcel([one], [_message(one)]))
    for chain in chains.values():
        chain.sort(key=lambda parcel: parcel.deliveries[0].seq)
    return list(chains.values())


def _in_batches(waiting: Iterable[Waiting], size: int) -> list[Parcel]:
    numbered = enumerate(sorted(waiting, key=lambda one: (one.seq, one.id)))
    batches = ([one for _, one in page] for _, page in groupby(numbered, key=lambda pair: pair[0] // size))
    return [Parcel(batch, [_message(one) for one in batch]) for batch in batches]


def _message(one: Waiting) -> Item:
    return Item(str(one.id), message=one.body.encode())


def _events(project: int, one: Waiting) -> Parcel:
    return Parcel([one], forwarding.items(project, forwarding.refs_of(one.body)))
