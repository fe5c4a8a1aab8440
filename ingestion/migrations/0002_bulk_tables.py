"""The bulk tables, in SQL: keys that begin with the project, named sequences, no foreign keys, partitions.

What PostgreSQL 14 can do without an extension, and nothing that a distributed PostgreSQL refuses.
"""

from django.db import migrations

TABLES = """
create sequence ingestion_batch_id_seq;
create table ingestion_batch (
    project_id bigint not null, id bigint not null default nextval('ingestion_batch_id_seq'),
    batch_id text not null, key_id bigint, dialect text not null, n integer not null, received_at bigint not null,
    body bytea not null, parked boolean not null default false, error text not null default '',
    primary key (project_id, id)          -- the writer takes the oldest of a project
);
create index ingestion_batch_id on ingestion_batch (id);    -- the admin, which knows rows by id alone
create index ingestion_batch_parked on ingestion_batch (project_id, id) where parked;    -- the list of parked batches

create table ingestion_appliedbatch (
    project_id bigint not null, batch_id text not null, stored integer not null, duplicates integer not null,
    rejected integer not null, at bigint not null,
    primary key (project_id, batch_id)
);
create index ingestion_appliedbatch_at on ingestion_appliedbatch (at);    -- pruning

create sequence ingestion_profile_id_seq;
create table ingestion_profile (
    project_id bigint not null, id bigint not null default nextval('ingestion_profile_id_seq'), public_id text not null,
    traits jsonb not null default '{}', trait_ts jsonb not null default '{}', merged_into bigint,
    identified boolean not null default false, shard smallint not null,
    first_seen bigint not null, last_seen bigint not null,
    primary key (project_id, id)
) with (fillfactor = 80);                 -- last_seen moves with every event: room for heap-only updates
create index ingestion_profile_id on ingestion_profile (id);    -- the admin
create unique index ingestion_profile_public on ingestion_profile (project_id, public_id);    -- /profiles/u_...
create index ingestion_profile_shard on ingestion_profile (project_id, shard, id);    -- pages of a backfill
create index ingestion_profile_merged on ingestion_profile (project_id, merged_into) where merged_into is not null;

create table ingestion_alias (
    project_id bigint not null, kind text not null, external_id text not null, profile_id bigint not null,
    primary key (project_id, kind, external_id)    -- identity, in bulk
);
create index ingestion_alias_profile on ingestion_alias (project_id, profile_id);    -- external_ids of a profile; merges

create table ingestion_eventname (
    project_id bigint not null, id integer not null, name text not null,
    primary key (project_id, id), unique (project_id, name)
);

create table ingestion_event (
    project_id bigint not null, profile_id bigint, name_id integer not null, ts bigint not null,
    received_at bigint not null, uid bytea not null, props jsonb not null, context jsonb
) partition by range (received_at);
create index ingestion_event_profile on ingestion_event (project_id, profile_id, name_id, ts desc);    -- live facts
create index ingestion_event_name on ingestion_event (project_id, name_id, ts);    -- backfill, listings
-- Holds nothing as long as the monthly partitions are made ahead; an event is never refused for want of one.
create table ingestion_event_rest partition of ingestion_event default;

create table ingestion_dedupekey (
    project_id bigint not null, uid bytea not null, received_at bigint not null,
    primary key (project_id, uid)
);

create sequence ingestion_deadletter_id_seq;
create table ingestion_deadletter (
    project_id bigint not null, id bigint not null default nextval('ingestion_deadletter_id_seq'),
    batch_id text not null, index integer not null, dialect text not null, code text not null, detail text not null,
    body bytea not null, at bigint not null,
    primary key (project_id, id)
);
create index ingestion_deadletter_id on ingestion_deadletter (id);    -- the admin

create sequence ingestion_staleprofiles_id_seq;
create table ingestion_staleprofiles (
    project_id bigint not null, shard smallint not null, id bigint not null default nextval('ingestion_staleprofiles_id_seq'),
    at bigint not null, items bytea not null,
    primary key (project_id, shard, id)
);

create table ingestion_writerlane (
    project_id bigint primary key, applied_seq bigint not null default 0, watched_until bigint not null default 0
);

create table ingestion_applied (
    project_id bigint not null, seq bigint not null, at bigint not null, events jsonb not null,
    primary key (project_id, seq)
);
create index ingestion_applied_at on ingestion_applied (at);    -- pruning

-- Queues: rows come and go all the time, so their dead rows must go soon, or every claim walks over them.
alter table ingestion_batch set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
alter table ingestion_staleprofiles set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
"""

DROP = """
drop table ingestion_batch, ingestion_appliedbatch, ingestion_profile, ingestion_alias, ingestion_eventname, ingestion_event,
    ingestion_dedupekey, ingestion_deadletter, ingestion_staleprofiles, ingestion_writerlane, ingestion_applied;
drop sequence ingestion_batch_id_seq, ingestion_profile_id_seq, ingestion_deadletter_id_seq, ingestion_staleprofiles_id_seq;
"""


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0001_initial")]
    operations = [migrations.RunSQL(TABLES, DROP)]
