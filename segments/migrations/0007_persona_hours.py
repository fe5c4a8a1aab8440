"""Enters and leaves by the hour: what lists and charts read instead of the log and the memberships."""

from django.db import migrations, models

TABLE = """
create table segments_personahour (
    project_id bigint not null, persona_id bigint not null, hour bigint not null, enters bigint not null,
    leaves bigint not null,
    primary key (project_id, persona_id, hour)    -- sizes (hour 0), and the last day of a persona
) with (fillfactor = 50);                         -- rows move with every change: room for heap-only updates
insert into segments_personahour (project_id, persona_id, hour, enters, leaves)
select project_id, persona_id, 0, count(*), 0 from segments_membership where is_member group by project_id, persona_id;
"""


class Migration(migrations.Migration):
    dependencies = [("segments", "0006_warnings_and_results")]
    operations = [
        migrations.RunSQL(TABLE, "drop table segments_personahour"),
        migrations.CreateModel(
            "PersonaHour",
            [
                ("pk", models.CompositePrimaryKey("project", "persona_id", "hour", primary_key=True, serialize=False)),
                (
                    "project",
                    models.ForeignKey("keys.project", models.DO_NOTHING, db_constraint=False, related_name="+"),
                ),
                ("persona_id", models.BigIntegerField()),
                ("hour", models.BigIntegerField()),
                ("enters", models.BigIntegerField()),
                ("leaves", models.BigIntegerField()),
            ],
            options={"managed": False, "db_table": "segments_personahour"},
        ),
    ]
