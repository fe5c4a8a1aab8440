"""A backfill may be silent: its changes are logged, but streams and deliveries do not tell."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("segments", "0002_bulk_tables")]
    operations = [
        migrations.RunSQL(
            "alter table segments_backfilljob add column silent boolean not null default false",
            "alter table segments_backfilljob drop column silent",
            state_operations=[migrations.AddField("backfilljob", "silent", models.BooleanField(default=False))],
        )
    ]
