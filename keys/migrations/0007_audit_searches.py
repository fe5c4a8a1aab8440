from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0006_invitation")]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["actor", "-id"], name="keys_audit_actor"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["target", "-id"], name="keys_audit_target"),
        ),
    ]
