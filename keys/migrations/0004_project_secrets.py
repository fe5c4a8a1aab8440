"""Secrets that a project shares with Shopify, or with its own server for its users."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0003_idempotency_and_settings_versions")]

    operations = [
        migrations.CreateModel(
            name="ProjectSecret",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("shopify", "Shopify"), ("identity", "Identity")], max_length=8)),
                ("sealed", models.TextField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "project",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="keys.project"),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["project", "kind"], name="keys_secret_of_a_project")],
            },
        ),
    ]
