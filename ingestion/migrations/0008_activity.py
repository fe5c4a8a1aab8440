"""How many people were active, without counting them: sets of hours and days a profile, and counters an hour."""

from django.db import migrations, models

TABLES = """
create table ingestion_profileactive (
    project_id bigint not null, profile_id bigint not null, hour bigint not null, hours bigint not null,
    days bigint not null,
    primary key (project_id, profile_id)    -- what is known of those whose events are being applied
) with (fillfactor = 80);
create table ingestion_activehour (
    project_id bigint not null, hour bigint not null, active bigint not null, first_of_day bigint not null,
    newest bigint not null,
    primary key (project_id, hour)          -- sums over the hours of a window
) with (fillfactor = 50);
drop table ingestion_profilehour, ingestion_profileday;
"""
DROP = """
create table ingestion_profilehour (
    project_id bigint not null, hour bigint not null, profile_id bigint not null,
    primary key (project_id, hour, profile_id));
create table ingestion_profileday (
    project_id bigint not null, day bigint not null, profile_id bigint not null,
    primary key (project_id, day, profile_id));
drop table ingestion_profileactive, ingestion_activehour;
"""


def project() -> "models.ForeignKey[object, object]":
    return models.ForeignKey("keys.project", models.DO_NOTHING, db_constraint=False, related_name="+")


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0007_event_minutes")]
    operations = [
        migrations.RunSQL(TABLES, DROP),
        migrations.DeleteModel("ProfileHour"),
        migrations.DeleteModel("ProfileDay"),
        migrations.CreateModel(
            "ProfileActive",
            [
                ("pk", models.CompositePrimaryKey("project", "profile_id", primary_key=True, serialize=False)),
                ("project", project()),
                ("profile_id", models.BigIntegerField()),
                ("hour", models.BigIntegerField()),
                ("hours", models.BigIntegerField()),
                ("days", models.BigIntegerField()),
            ],
            options={"managed": False, "db_table": "ingestion_profileactive"},
        ),
        migrations.CreateModel(
            "ActiveHour",
            [
                ("pk", models.CompositePrimaryKey("project", "hour", primary_key=True, serialize=False)),
                ("project", project()),
                ("hour", models.BigIntegerField()),
                ("active", models.BigIntegerField()),
                ("first_of_day", models.BigIntegerField()),
                ("newest", models.BigIntegerField()),
            ],
            options={"managed": False, "db_table": "ingestion_activehour"},
        ),
    ]
