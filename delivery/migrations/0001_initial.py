import functools

import django.db.models.deletion
from django.db import migrations, models

import persona.lib.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("keys", "0002_cache_table"),
    ]

    operations = [
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("destination_id", models.BigIntegerField()),
                ("kind", models.TextField(choices=[("change", "Change"), ("events", "Events"), ("gap", "Gap")])),
                (
                    "status",
                    models.TextField(choices=[("waiting", "Waiting"), ("delivered", "Delivered"), ("dead", "Dead")]),
                ),
                ("first_seq", models.BigIntegerField()),
                ("seq", models.BigIntegerField()),
                ("n", models.IntegerField()),
                ("profile_id", models.BigIntegerField(null=True)),
                ("persona_id", models.BigIntegerField(null=True)),
                ("op", models.TextField(null=True)),
                ("body", models.TextField()),
                ("tries", models.JSONField(default=list)),
                ("tried", models.IntegerField(default=0)),
                ("first_tried_at", models.BigIntegerField(null=True)),
                ("next_at", models.BigIntegerField()),
                ("created_at", models.BigIntegerField()),
                ("settled_at", models.BigIntegerField(null=True)),
            ],
            options={
                "db_table": "delivery_attempt",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Cursor",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "project", "destination_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("destination_id", models.BigIntegerField()),
                ("seq", models.BigIntegerField()),
                ("leased_until", models.BigIntegerField(default=0)),
                ("failures", models.IntegerField(default=0)),
                ("failing_since", models.BigIntegerField(null=True)),
                ("resting_until", models.BigIntegerField(default=0)),
                ("last_error", models.TextField(default="")),
                ("lost_from", models.BigIntegerField(null=True)),
                ("lost_to", models.BigIntegerField(null=True)),
            ],
            options={
                "db_table": "delivery_cursor",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Destination",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "public_id",
                    models.CharField(
                        default=functools.partial(persona.lib.ids.opaque, *("d_", 16)),
                        editable=False,
                        max_length=24,
                        unique=True,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("webhook", "Webhook"), ("amplitude", "Amplitude"), ("mixpanel", "Mixpanel")],
                        max_length=9,
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("url", models.CharField(max_length=2000)),
                ("personas", models.JSONField(blank=True, default=list)),
                ("ops", models.JSONField(blank=True, default=list)),
                ("settings", models.JSONField(blank=True, default=dict)),
                ("secret", models.TextField()),
                ("former_secret", models.TextField(blank=True, default="")),
                ("former_until", models.DateTimeField(blank=True, null=True)),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("paused", "Paused")], default="active", max_length=6
                    ),
                ),
                ("paused_because", models.TextField(blank=True, default="")),
                ("version", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="destinations", to="keys.project"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "active")), fields=["project"], name="delivery_destination_active"
                    )
                ],
            },
        ),
    ]
