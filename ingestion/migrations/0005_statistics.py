"""What statistics are read from instead of the events, and the sign of life of the workers."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

TABLES = """
create table ingestion_eventhour (
    project_id bigint not null, hour bigint not null, name_id integer not null, stored bigint not null,
    duplicates bigint not null, rejected bigint not null,
    primary key (project_id, hour, name_id)       -- sums over the hours of a window
) with (fillfactor = 80);
create table ingestion_profilehour (
    project_id bigint not null, hour bigint not null, profile_id bigint not null,
    primary key (project_id, hour, profile_id)    -- who was active, by the hour
);
create table ingestion_profileday (
    project_id bigint not null, day bigint not null, profile_id bigint not null,
    primary key (project_id, day, profile_id)     -- the same by the day: a week of hours would be too many rows
);
create table ingestion_heartbeat (process text primary key, at bigint not null);
"""
DROP = "drop table ingestion_eventhour, ingestion_profilehour, ingestion_profileday, ingestion_heartbeat;"


def project() -> models.ForeignKey[Any, Any]:
    return models.ForeignKey(
        db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="keys.project"
    )


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0004_deadletter_frame"), ("keys", "0001_initial")]
    operations = [
        migrations.RunSQL(TABLES, DROP),
        migrations.CreateModel(
            name="EventHour",
            fields=[
                ("pk", models.CompositePrimaryKey("project", "hour", "name_id", primary_key=True, serialize=False)),
                ("hour", models.BigIntegerField()),
                ("name_id", models.IntegerField()),
                ("stored", models.BigIntegerField()),
                ("duplicates", models.BigIntegerField()),
                ("rejected", models.BigIntegerField()),
                ("project", project()),
            ],
            options={"db_table": "ingestion_eventhour", "managed": False},
        ),
        migrations.CreateModel(
            name="ProfileHour",
            fields=[
                ("pk", models.CompositePrimaryKey("project", "hour", "profile_id", primary_key=True, serialize=False)),
                ("hour", models.BigIntegerField()),
                ("profile_id", models.BigIntegerField()),
                ("project", project()),
            ],
            options={"db_table": "ingestion_profilehour", "managed": False},
        ),
        migrations.CreateModel(
            name="ProfileDay",
            fields=[
                ("pk", models.CompositePrimaryKey("project", "day", "profile_id", primary_key=True, serialize=False)),
                ("day", models.BigIntegerField()),
                ("profile_id", models.BigIntegerField()),
                ("project", project()),
            ],
            options={"db_table": "ingestion_profileday", "managed": False},
        ),
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("process", models.TextField(primary_key=True, serialize=False)),
                ("at", models.BigIntegerField()),
            ],
            options={"db_table": "ingestion_heartbeat", "managed": False},
        ),
    ]
