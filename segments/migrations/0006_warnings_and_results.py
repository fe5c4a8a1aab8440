"""What is odd about a persona's data, and what verifications found."""

from typing import Any

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

TABLES = """
create table segments_personawarning (
    project_id bigint not null, persona_id bigint not null, kind text not null, path text not null,
    since bigint not null, latest bigint not null, profiles bigint[] not null,
    primary key (project_id, persona_id, kind, path)
);
create table segments_verifyresult (
    project_id bigint primary key, at bigint, differences integer not null default 0, report bytea, running bytea,
    leased_until bigint not null default 0
);
"""
PROJECT: dict[str, Any] = {
    "db_constraint": False,
    "on_delete": django.db.models.deletion.DO_NOTHING,
    "related_name": "+",
}


class Migration(migrations.Migration):
    dependencies = [("segments", "0005_stream_tickets")]
    operations = [
        migrations.RunSQL(TABLES, "drop table segments_personawarning, segments_verifyresult"),
        migrations.CreateModel(
            "PersonaWarning",
            [
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "project",
                        "persona_id",
                        "kind",
                        "path",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("project", models.ForeignKey(to="keys.project", **PROJECT)),
                ("persona_id", models.BigIntegerField()),
                ("kind", models.TextField(choices=[("type_mismatch", "Type Mismatch"), ("capped", "Capped")])),
                ("path", models.TextField()),
                ("since", models.BigIntegerField()),
                ("latest", models.BigIntegerField()),
                ("profiles", django.contrib.postgres.fields.ArrayField(models.BigIntegerField())),
            ],
            options={"db_table": "segments_personawarning", "managed": False},
        ),
        migrations.CreateModel(
            "VerifyResult",
            [
                ("project", models.OneToOneField(to="keys.project", primary_key=True, serialize=False, **PROJECT)),
                ("at", models.BigIntegerField(null=True)),
                ("differences", models.IntegerField(default=0)),
                ("report", models.BinaryField(null=True)),
                ("running", models.BinaryField(null=True)),
                ("leased_until", models.BigIntegerField(default=0)),
            ],
            options={"db_table": "segments_verifyresult", "managed": False},
        ),
    ]
