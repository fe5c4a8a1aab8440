"""What stands beside profiles, events and memberships in a project that has lived: rows for the pages to read."""

import time
from typing import Any

import made

MORE = {
    "aliases": """insert into ingestion_alias (project_id, kind, external_id, profile_id)
        select %(project)s, 'user', 'user-' || n, n from generate_series(1, %(profiles)s) n""",
    "memberships": """insert into segments_membership (project_id, profile_id, persona_id, shard, is_member, since,
            revision, recheck_at)
        select %(project)s, p.id, persona, p.shard, random() < 0.3, %(now)s, 1,
            case when random() < 0.5 then %(now)s + 86400000 + (random() * 1e9)::bigint end
        from ingestion_profile p, unnest(%(personas)s::bigint[]) persona where p.project_id = %(project)s""",
    "sizes": """insert into segments_personahour (project_id, persona_id, hour, enters, leaves)
        select project_id, persona_id, 0, count(*), 0 from segments_membership where is_member group by 1, 2""",
    "enters and leaves": """insert into segments_personahour (project_id, persona_id, hour, enters, leaves)
        select %(project)s, persona, %(now)s / 3600000 * 3600000 - n::bigint * 3600000, 400, 380
        from unnest(%(personas)s::bigint[]) persona, generate_series(0, 800) n""",
    "changes": """with head as (update segments_head set last_seq = last_seq + %(profiles)s * 5
            where project_id = %(project)s returning last_seq - %(profiles)s * 5 as base)
        insert into segments_change (project_id, seq, profile_id, persona_id, op, at, cause, version)
        select %(project)s, base + n, 1 + n %% %(profiles)s, (%(personas)s::bigint[])[1 + n %% %(count)s],
            (array['enter', 'leave'])[1 + n %% 2], %(now)s - (%(profiles)s * 5 - n) * 500, 'time', 1
        from head, generate_series(1, %(profiles)s * 5) n""",
    "deliveries": """insert into delivery_attempt (project_id, destination_id, kind, status, first_seq, seq, n,
            profile_id, persona_id, op, body, tries, tried, next_at, created_at, settled_at)
        select %(project)s, %(destination)s, 'change',
            case when n %% 997 = 0 then 'dead' when n > %(profiles)s - 500 then 'waiting' else 'delivered' end, n, n, 1,
            1 + n %% %(profiles)s, (%(personas)s::bigint[])[1 + n %% %(count)s], 'enter',
            '{"id":"bench-' || n || '","type":"segment.updated"}', '[{"at":1,"status":200,"ms":40,"error":null,
            "answer":"ok"}]', 1, %(now)s, %(now)s, %(now)s from generate_series(1, %(profiles)s) n""",
    "dead letters": """insert into ingestion_deadletter (project_id, batch_id, index, dialect, code, detail, body, at,
            received_at)
        select %(project)s, 'b_' || n, 0, 'pipeline', (array['event.field_missing', 'event.null_character',
            'event.number_too_large'])[1 + n %% 3], 'event: is required', '{"type": "track", "event": ""}', %(now)s,
            %(now)s
        from generate_series(1, %(profiles)s / 2) n""",
    "audit": """insert into keys_auditentry (project_id, actor, action, target, detail, at)
        select %(project)s, 'bench', 'key.issued', 'pk_live_' || n, '{}', now() - n * interval '1 minute'
        from generate_series(1, %(profiles)s / 4) n""",
    "minutes": """insert into ingestion_eventminute (project_id, minute, stored, duplicates, rejected)
        select %(project)s, %(now)s / 60000 * 60000 - n * 60000, 3000, 20, 3 from generate_series(0, 1439) n""",
    "hours": """insert into ingestion_eventhour (project_id, hour, name_id, stored, duplicates, rejected)
        select %(project)s, %(now)s / 3600000 * 3600000 - n::bigint * 3600000, name, 9000, 60, 9
        from generate_series(0, 1439) n, generate_series(1, 20) name""",
    "batches": """insert into ingestion_batch (project_id, batch_id, dialect, n, received_at, body, parked)
        select %(project)s, 'b_w' || n, 'pipeline', 1, %(now)s, '{}', n %% 50 = 0 from generate_series(1, 5000) n""",
    "applied": """insert into ingestion_applied (project_id, seq, at, events) select %(project)s, n, %(now)s - 5000 + n,
            jsonb_build_array(jsonb_build_object('id', md5(n::text), 'name', 'page_viewed', 'profile', 'u_' || n,
            'received_at', %(now)s, 'outcome', 'stored', 'dialect', 'pipeline', 'batch', 'b_1', 'index', 0,
            'props', '{"path": "/pricing"}'::jsonb)) from generate_series(1, 5000) n""",
}
LANE = "update ingestion_writerlane set applied_seq = 5000 where project_id = %s"


def fill(project: Any, hook: Any, size: made.Size) -> None:
    """`hook`: the destination that has been told the changes."""
    from django.db import connection

    personas = list(project.personas.order_by("id").values_list("id", flat=True))
    words = {
        **size._asdict(), "project": project.pk, "personas": personas, "count": len(personas), "destination": hook.pk,
        "now": int(time.time() * 1_000),
    }  # fmt: skip
    with connection.cursor() as cursor:
        for statement in MORE.values():
            cursor.execute(statement, words)
        cursor.execute(LANE, [project.pk])
        cursor.execute("vacuum analyze")
