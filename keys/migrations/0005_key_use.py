"""How much each key is used, by the hour. Small: one row for each key and hour in which it sent events."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0004_project_secrets")]
    operations = [
        migrations.CreateModel(
            name="KeyUse",
            fields=[
                ("pk", models.CompositePrimaryKey("project_id", "key_id", "hour", primary_key=True, serialize=False)),
                ("project_id", models.BigIntegerField()),
                ("key_id", models.BigIntegerField()),
                ("hour", models.BigIntegerField()),
                ("events", models.BigIntegerField()),
                ("last_used_at", models.BigIntegerField()),
            ],
            options={"verbose_name": "key use"},
        )
    ]
