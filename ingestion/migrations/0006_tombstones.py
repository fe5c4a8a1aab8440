"""What is kept of the erased: digests of their ids."""

import django.db.models.deletion
from django.db import migrations, models

TABLE = """
create table ingestion_tombstone (
    project_id bigint not null, digest bytea not null, erased_at bigint not null, suppressed boolean not null default false,
    primary key (project_id, digest)    -- the ids of a turn; whether a project has any at all
);
"""


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0005_statistics")]
    operations = [
        migrations.RunSQL(TABLE, "drop table ingestion_tombstone;"),
        migrations.CreateModel(
            name="Tombstone",
            fields=[
                ("pk", models.CompositePrimaryKey("project", "digest", primary_key=True, serialize=False)),
                ("digest", models.BinaryField(max_length=32)),
                ("erased_at", models.BigIntegerField()),
                ("suppressed", models.BooleanField(default=False)),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="keys.project",
                    ),
                ),
            ],
            options={"db_table": "ingestion_tombstone", "managed": False},
        ),
    ]
