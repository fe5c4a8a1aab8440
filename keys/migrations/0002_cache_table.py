"""The table of persona.cache.PostgresCache. UNLOGGED: no WAL, empty after a crash."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("keys", "0001_initial")]
    operations = [
        migrations.RunSQL(
            """
            create unlogged table persona_cache (
                key text collate "C" primary key, number bigint, pickled bytea, expires_at timestamptz
            );
            create index persona_cache_expires on persona_cache (expires_at);    -- pruning
            """,
            "drop table persona_cache",
        )
    ]
