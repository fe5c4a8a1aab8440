"""How far the import of a file has come."""

from django.db import migrations, models

TABLE = """
create table ingestion_import (
    project_id bigint not null, run text not null, name text not null, position bigint not null,
    rejected bigint not null, started_at bigint not null, finished_at bigint,
    primary key (project_id, run)    -- the import that goes on
);
"""


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0010_deadletter_code")]
    operations = [
        migrations.RunSQL(TABLE, "drop table ingestion_import"),
        migrations.CreateModel(
            "Import",
            [
                ("pk", models.CompositePrimaryKey("project", "run", primary_key=True, serialize=False)),
                (
                    "project",
                    models.ForeignKey("keys.project", models.DO_NOTHING, db_constraint=False, related_name="+"),
                ),
                ("run", models.TextField()),
                ("name", models.TextField()),
                ("position", models.BigIntegerField()),
                ("rejected", models.BigIntegerField()),
                ("started_at", models.BigIntegerField()),
                ("finished_at", models.BigIntegerField(null=True)),
            ],
            options={"managed": False, "db_table": "ingestion_import"},
        ),
    ]
