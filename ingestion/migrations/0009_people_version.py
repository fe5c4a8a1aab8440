"""How often a writer has changed people that others may remember: by a merge, a first userId or an erasure."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0008_activity")]
    operations = [
        migrations.RunSQL(
            "alter table ingestion_writerlane add column people_version bigint not null default 0",
            "alter table ingestion_writerlane drop column people_version",
        ),
        migrations.AddField("WriterLane", "people_version", models.BigIntegerField(default=0)),
    ]
