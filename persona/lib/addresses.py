"""Which network addresses are the public internet, and which lead inside."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

UNICAST = IPv6Network("2000::/3")
# Of the internet by its number, but answered by the machine's own cloud.
CLOUD = frozenset({IPv4Address("168.63.129.16")})
NAT64 = IPv6Network("64:ff9b::/96")  # carries an IPv4 address in its last 32 bits


def is_public(address: str) -> bool:
    """Whether a packet to `address` leaves for the internet: nothing private, local or shared."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv4Address):
        return _public4(found)
    inner = _carried(found)
    return _public4(inner) if inner is not None else found in UNICAST and found.is_global


def _public4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and address not in CLOUD


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside an IPv6 one, for which it is only another spelling."""
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
