"""Events by the minute, for the chart of the last hour."""

from django.db import migrations, models

TABLE = """
create table ingestion_eventminute (
    project_id bigint not null, minute bigint not null, stored bigint not null, duplicates bigint not null,
    rejected bigint not null,
    primary key (project_id, minute)    -- the last hour of a project
) with (fillfactor = 50);
"""


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0006_tombstones")]
    operations = [
        migrations.RunSQL(TABLE, "drop table ingestion_eventminute"),
        migrations.CreateModel(
            "EventMinute",
            [
                ("pk", models.CompositePrimaryKey("project", "minute", primary_key=True, serialize=False)),
                (
                    "project",
                    models.ForeignKey("keys.project", models.DO_NOTHING, db_constraint=False, related_name="+"),
                ),
                ("minute", models.BigIntegerField()),
                ("stored", models.BigIntegerField()),
                ("duplicates", models.BigIntegerField()),
                ("rejected", models.BigIntegerField()),
            ],
            options={"managed": False, "db_table": "ingestion_eventminute"},
        ),
    ]
