"""Marks lie for some milliseconds, so they are not compressed: pressing them was a tenth of what a turn cost PostgreSQL."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0012_event_tracked")]
    operations = [
        migrations.RunSQL(
            "alter table ingestion_staleprofiles alter column items set storage external",
            "alter table ingestion_staleprofiles alter column items set storage extended",
        )
    ]
