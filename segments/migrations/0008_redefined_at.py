"""Since when a persona's rule has meant what it means: log rows from before that are not held against it."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models.functions import Now


def from_now_on(apps: StateApps, _: BaseDatabaseSchemaEditor) -> None:
    """What a rule meant before, and until when, is not known."""
    apps.get_model("segments", "Persona").objects.update(redefined_at=Now())


class Migration(migrations.Migration):
    dependencies = [("segments", "0007_persona_hours")]
    operations = [
        migrations.AddField(
            "persona", "redefined_at", models.DateTimeField(null=True, editable=False), preserve_default=True
        ),
        migrations.RunPython(from_now_on, migrations.RunPython.noop),
    ]
