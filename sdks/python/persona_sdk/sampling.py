"""Who is in the sample: the same answer for the same id in every SDK."""

OFFSET, PRIME = 0x811C9DC5, 0x01000193


def share(name: str) -> float:
    """The id as a share of 1: in the sample when it is below the rate.

    FNV-1a (32 bits) of its UTF-8, then mixed as MurmurHash3 ends: by itself FNV leaves ids that differ in their last
    digit beside each other.
    """
    value = OFFSET
    for byte in name.encode():
        value = (value ^ byte) * PRIME & 0xFFFFFFFF
    value = (value ^ value >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    value = (value ^ value >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return (value ^ value >> 16) / 2**32
