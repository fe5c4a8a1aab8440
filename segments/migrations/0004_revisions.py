"""What a rule means can change without the rule: memberships say by which meaning they were judged."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("segments", "0003_silent_backfill")]
    operations = [
        migrations.AddField("persona", "revision", models.PositiveIntegerField(default=1, editable=False)),
        migrations.RunSQL(
            "update segments_persona set revision = version;"
            "alter table segments_membership rename column version to revision;"
            "alter table segments_head add column retention bigint;",
            "alter table segments_membership rename column revision to version;"
            "alter table segments_head drop column retention;",
            state_operations=[
                migrations.RenameField("membership", "version", "revision"),
                migrations.AddField("head", "retention", models.BigIntegerField(null=True)),
            ],
        ),
    ]
