"""Delete what deliveries hold of a profile: bodies, and answers that may repeat them."""

from collections.abc import Sequence

from ingestion.cursors import Cursor

DELETE = "delete from delivery_attempt where project_id = %s and profile_id = any(%s)"


def delete(cursor: Cursor, project: int, profiles: Sequence[int]) -> int:
    """In the transaction of `cursor`; the number of deliveries. What is under way may still arrive."""
    return cursor.execute(DELETE, [project, profiles]).rowcount
