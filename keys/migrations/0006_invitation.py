"""Invitations: a link that makes whoever opens it a member, once."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0005_key_use")]
    operations = [
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[("owner", "Owner"), ("editor", "Editor"), ("viewer", "Viewer")], max_length=6
                    ),
                ),
                ("email", models.EmailField(blank=True, max_length=254)),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("invited_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="invitations", to="keys.project"
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["project", "-id"], name="keys_invitation_newest")]},
        )
    ]
