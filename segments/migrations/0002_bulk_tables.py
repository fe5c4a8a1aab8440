"""The evaluator's tables, in SQL: keys that begin with the project, no foreign keys."""

from django.db import migrations

TABLES = """
create table segments_lane (project_id bigint not null, shard smallint not null, primary key (project_id, shard));

create table segments_membership (
    project_id bigint not null, profile_id bigint not null, persona_id bigint not null, shard smallint not null,
    is_member boolean not null, since bigint not null, version integer not null, recheck_at bigint,
    primary key (project_id, profile_id, persona_id)
) with (fillfactor = 85);
-- what is due in a lane, and the next instant of all
create index segments_membership_due on segments_membership (project_id, shard, recheck_at) where recheck_at is not null;
-- members of a persona, by pages
create index segments_membership_persona on segments_membership (project_id, persona_id, profile_id) where is_member;

create table segments_change (
    project_id bigint not null, seq bigint not null, profile_id bigint not null, persona_id bigint not null,
    op text not null, at bigint not null, cause text not null, version integer not null, trigger bytea,
    late_ms bigint, silent boolean not null default false,
    primary key (project_id, seq)
);
create index segments_change_profile on segments_change (project_id, profile_id, persona_id, seq desc);    -- history

create table segments_head (
    project_id bigint primary key, last_seq bigint not null default 0, rules_version bigint not null default 0
);

create table segments_backfilljob (
    project_id bigint not null, persona_id bigint not null, shard smallint not null, version integer not null,
    cursor bigint not null default 0, done boolean not null default false,
    primary key (project_id, persona_id, shard)
);
create index segments_backfilljob_open on segments_backfilljob (project_id) where not done;    -- what is left to do
"""

DROP = "drop table segments_lane, segments_membership, segments_change, segments_head, segments_backfilljob;"


class Migration(migrations.Migration):
    dependencies = [("segments", "0001_initial"), ("ingestion", "0002_bulk_tables")]
    operations = [migrations.RunSQL(TABLES, DROP)]
