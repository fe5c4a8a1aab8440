"""The bulk tables of deliveries, in SQL: keys that begin with the project, a named sequence, no foreign keys."""

from django.db import migrations

TABLES = """
create table delivery_cursor (
    project_id bigint not null, destination_id bigint not null, seq bigint not null,
    leased_until bigint not null default 0, failures integer not null default 0, failing_since bigint,
    resting_until bigint not null default 0, last_error text not null default '', lost_from bigint, lost_to bigint,
    primary key (project_id, destination_id)
) with (fillfactor = 50);    -- moves with every page: room for heap-only updates

create sequence delivery_attempt_id_seq;
create table delivery_attempt (
    project_id bigint not null, id bigint not null default nextval('delivery_attempt_id_seq'),
    destination_id bigint not null, kind text not null, status text not null, first_seq bigint not null,
    seq bigint not null, n integer not null, profile_id bigint, persona_id bigint, op text, body text not null,
    tries jsonb not null default '[]', tried integer not null default 0, first_tried_at bigint,
    next_at bigint not null, created_at bigint not null, settled_at bigint,
    primary key (project_id, id)
) with (fillfactor = 85);
create index delivery_attempt_id on delivery_attempt (id);    -- what knows rows by id alone
-- what is due at a destination, in the order of the log
create index delivery_attempt_due on delivery_attempt (project_id, destination_id, next_at, seq) where status = 'waiting';
-- what waits of a profile: a failure moves all of it
create index delivery_attempt_queue on delivery_attempt (project_id, destination_id, profile_id) where status = 'waiting';
-- one delivery again, or a range; the newest of a destination
create index delivery_attempt_seq on delivery_attempt (project_id, destination_id, seq);
-- dead letters of a project
create index delivery_attempt_dead on delivery_attempt (project_id, id) where status = 'dead';
-- all of a profile: its page, and its erasure
create index delivery_attempt_profile on delivery_attempt (project_id, profile_id, id) where profile_id is not null;
"""

DROP = "drop table delivery_cursor, delivery_attempt; drop sequence delivery_attempt_id_seq;"


class Migration(migrations.Migration):
    dependencies = [("delivery", "0001_initial")]
    operations = [migrations.RunSQL(TABLES, DROP)]
