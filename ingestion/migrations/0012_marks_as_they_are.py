"""Marks are not compressed: they lie for some milliseconds, and pressing them was a tenth of what a turn cost PostgreSQL."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0011_imports")]
    operations = [
        migrations.RunSQL(
            "alter table ingestion_staleprofiles alter column items set storage external",
            "alter table ingestion_staleprofiles alter column items set storage extended",
        )
    ]
