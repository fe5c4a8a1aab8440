"""Dead letters by cause are found along an index."""

from django.db import migrations

# The causes of a project, how many letters each has, and the letters of one cause, newest first: their page.
INDEX = "create index ingestion_deadletter_code on ingestion_deadletter (project_id, code, id);"


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0009_people_version")]
    operations = [migrations.RunSQL(INDEX, "drop index ingestion_deadletter_code;")]
