"""Whether marks are wanted of a project's events: not where no persona would ever look at them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0013_marks_as_they_are")]
    operations = [
        migrations.RunSQL(
            "alter table ingestion_writerlane add column judged boolean not null default true",
            "alter table ingestion_writerlane drop column judged",
        ),
        migrations.AddField("WriterLane", "judged", models.BooleanField(default=True)),
    ]
