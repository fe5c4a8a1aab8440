"""What a dead letter needs to come back as it was: when it was received, and what its request said beside its events."""

from django.db import migrations

COLUMNS = """
alter table ingestion_deadletter add column received_at bigint not null default 0, add column frame bytea not null default '';
update ingestion_deadletter set received_at = at;
create index ingestion_deadletter_at on ingestion_deadletter (at);    -- pruning
"""
BACK = (
    "alter table ingestion_deadletter drop column received_at, drop column frame; drop index ingestion_deadletter_at;"
)


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0003_deadletter_batch")]
    operations = [migrations.RunSQL(COLUMNS, BACK)]
