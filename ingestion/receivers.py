"""What ingestion does when others' records change, and after `migrate`."""

from typing import Any

from ingestion import partitions
from ingestion.applying import lanes


def project_saved(*, instance: Any, created: bool, **_: object) -> None:
    """A new project gets its writer lane."""
    if created:
        lanes.make_lane(instance.pk)


def migrated(**_: object) -> None:
    """Partitions for the months to come, and a lane for every project; unless it was migrated back to nothing."""
    if partitions.can_be_made():
        partitions.ensure()
        lanes.make_lanes()
