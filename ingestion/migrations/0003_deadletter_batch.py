"""Finding the dead letters of one batch, however many there are."""

from django.db import migrations

INDEX = "create index ingestion_deadletter_batch on ingestion_deadletter (project_id, batch_id);"


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0002_bulk_tables")]
    operations = [migrations.RunSQL(INDEX, "drop index ingestion_deadletter_batch")]
