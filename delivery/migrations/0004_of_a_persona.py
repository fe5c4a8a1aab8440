"""The deliveries of one persona, newest first, however many the others have."""

from django.db import migrations

# GET deliveries?persona=, and its cursor, which is an id
INDEX = (
    "create index delivery_attempt_persona on delivery_attempt (project_id, persona_id, id)"
    " where persona_id is not null"
)


class Migration(migrations.Migration):
    dependencies = [("delivery", "0003_of_a_destination")]
    operations = [migrations.RunSQL(INDEX, "drop index delivery_attempt_persona")]
