"""What a project has seen: event names, their properties, and traits; from samples, for the editor to offer."""

import msgspec
from django.db import connection

from ingestion.models import EventName

NAMES = 500
SAMPLED_NAMES, SAMPLED_EVENTS, SAMPLED_PROFILES = 60, 3, 200
KEYS = 300
SINCE = 30 * 86_400_000  # ms: nothing older is looked at

# A few of the newest events of each name: some hundred index probes, however many events there are.
PROPERTIES = """
select distinct key from (
    select e.props
    from (select id from ingestion_eventname where project_id = %(project)s order by id limit %(names)s) n
    cross join lateral (
        select props from ingestion_event
        where project_id = %(project)s and name_id = n.id and ts > %(since)s and received_at > %(since)s
        order by ts desc limit %(events)s) e
    where jsonb_typeof(e.props) = 'object') sampled, jsonb_object_keys(sampled.props) as key
order by key limit %(keys)s
"""
TRAITS = """
select distinct key from (
    select traits from ingestion_profile where project_id = %(project)s order by id desc limit %(profiles)s) sampled,
    jsonb_object_keys(sampled.traits) as key
order by key limit %(keys)s
"""


class Seen(msgspec.Struct, frozen=True):
    """Names in their order."""

    events: list[str]
    properties: list[str]
    traits: list[str]


def seen(project_id: int, now: int) -> Seen:
    """now: ms."""
    names = EventName.objects.filter(project_id=project_id).order_by("id").values_list("name", flat=True)
    asked = {
        "project": project_id, "names": SAMPLED_NAMES, "events": SAMPLED_EVENTS, "profiles": SAMPLED_PROFILES,
        "keys": KEYS, "since": now - SINCE,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(PROPERTIES, asked)
        properties = [key for (key,) in cursor.fetchall()]
        cursor.execute(TRAITS, asked)
        traits = [key for (key,) in cursor.fetchall()]
    return Seen(sorted(names[:NAMES]), properties, traits)
