"""Who is in the sample: the same answer for the same id in every SDK."""

OFFSET, PRIME = 0x811C9DC5, 0x01000193


def share(name: str) -> float:
    """FNV-1a (32 bits) of the id's UTF-8, as a share of 1: in the sample when it is below the rate."""
    value = OFFSET
    for byte in name.encode():
        value = (value ^ byte) * PRIME & 0xFFFFFFFF
    return value / 2**32
