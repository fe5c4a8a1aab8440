"""The transport of each kind of destination."""

from typing import cast

from delivery.models import Destination
from delivery.outgoing import Transport
from delivery.transports import amplitude, mixpanel, webhook

TRANSPORTS: dict[str, Transport] = {
    Destination.Kind.WEBHOOK: cast("Transport", webhook),
    Destination.Kind.AMPLITUDE: cast("Transport", amplitude),
    Destination.Kind.MIXPANEL: cast("Transport", mixpanel),
}
URLS = {Destination.Kind.AMPLITUDE: amplitude.URL, Destination.Kind.MIXPANEL: mixpanel.URL}


def transport_of(destination: Destination) -> Transport:
    return TRANSPORTS[destination.kind]


def batch_of(destination: Destination) -> int:
    """Changes or events of one request at most."""
    transport = transport_of(destination)
    return min(destination.options.batch or transport.BATCH, transport.MOST)
