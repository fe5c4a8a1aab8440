"""What two personas have in common, counted from their members."""

import msgspec
from django.db import connection

# Both sides are walks along the index of a persona's members; the one that is smaller is looked up in the other.
BOTH = """
select count(*) from segments_membership a
join segments_membership b on b.project_id = a.project_id and b.profile_id = a.profile_id
where a.project_id = %(project)s and a.persona_id = %(one)s and a.is_member
    and b.project_id = %(project)s and b.persona_id = %(other)s and b.is_member
"""
EACH = """
select (select count(*) from segments_membership where project_id = %(project)s and persona_id = %(one)s and is_member),
    (select count(*) from segments_membership where project_id = %(project)s and persona_id = %(other)s and is_member)
"""


class Overlap(msgspec.Struct, frozen=True):
    """Profiles: in the one, in the other, in both."""

    one: int
    other: int
    both: int

    @property
    def either(self) -> int:
        return self.one + self.other - self.both

    @property
    def only_one(self) -> int:
        return self.one - self.both

    @property
    def only_other(self) -> int:
        return self.other - self.both

    @property
    def percent(self) -> int:
        """How much of the one is in the other."""
        return round(100 * self.both / self.one) if self.one else 0


def overlap(*, project_id: int, one: int, other: int) -> Overlap:
    """Of two personas, by their ids."""
    asked = {"project": project_id, "one": one, "other": other}
    with connection.cursor() as cursor:
        cursor.execute(EACH, asked)
        ((left, right),) = cursor.fetchall()
        cursor.execute(BOTH, asked)
        (both,) = cursor.fetchone()
    return Overlap(left, right, both)
