"""Events that bear the name of those that set traits, and set none."""

from django.db import migrations, models

COLUMN = "alter table ingestion_event add column tracked boolean"


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0011_imports")]
    operations = [
        migrations.RunSQL(
            COLUMN,
            "alter table ingestion_event drop column tracked",
            state_operations=[migrations.AddField("event", "tracked", models.BooleanField(null=True))],
        )
    ]
