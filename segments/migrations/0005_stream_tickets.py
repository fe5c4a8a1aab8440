"""Tickets open streams where no header can be sent. What they allow is in their sealed text; a row says when one was
last in use, and by which stream."""

from django.db import migrations, models

TABLE = """
create table segments_streamticket (
    project_id bigint not null, id bigint not null, key_id bigint not null, seen_at bigint not null,
    holder bigint not null default 0,
    primary key (project_id, id)
) with (fillfactor = 50);
create index segments_streamticket_of_key on segments_streamticket (project_id, key_id);    -- how many a key has
"""


class Migration(migrations.Migration):
    dependencies = [("segments", "0004_revisions")]
    operations = [
        migrations.RunSQL(TABLE, "drop table segments_streamticket"),
        migrations.CreateModel(
            "StreamTicket",
            fields=[
                ("pk", models.CompositePrimaryKey("project", "id", primary_key=True, serialize=False)),
                (
                    "project",
                    models.ForeignKey("keys.project", models.DO_NOTHING, db_constraint=False, related_name="+"),
                ),
                ("id", models.BigIntegerField()),
                ("key_id", models.BigIntegerField()),
                ("seen_at", models.BigIntegerField()),
                ("holder", models.BigIntegerField(default=0)),
            ],
            options={"managed": False, "db_table": "segments_streamticket"},
        ),
    ]
