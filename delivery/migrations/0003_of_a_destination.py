"""The deliveries of one destination, newest first, however many it or others have."""

from django.db import migrations

# GET deliveries?destination=, and its cursor, which is an id
INDEX = "create index delivery_attempt_destination on delivery_attempt (project_id, destination_id, id)"


class Migration(migrations.Migration):
    dependencies = [("delivery", "0002_bulk_tables")]
    operations = [migrations.RunSQL(INDEX, "drop index delivery_attempt_destination")]
