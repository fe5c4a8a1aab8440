"""What each key was last used for, and by what. Small: one row for each key and way of using it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0007_audit_searches")]
    operations = [
        migrations.CreateModel(
            name="KeySighting",
            fields=[
                ("pk", models.CompositePrimaryKey("project_id", "key_id", "way", primary_key=True, serialize=False)),
                ("project_id", models.BigIntegerField()),
                ("key_id", models.BigIntegerField()),
                ("way", models.CharField(max_length=8)),
                ("at", models.BigIntegerField()),
                ("used_by", models.CharField(max_length=80)),
            ],
            options={"verbose_name": "key sighting"},
        )
    ]
