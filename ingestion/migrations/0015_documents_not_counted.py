"""No statistics of the documents in events: no plan asks for them, and to gather them is two thirds of an ANALYZE, which a
growing month calls for every few seconds at full load."""

from django.db import migrations

SET = "alter table ingestion_event alter column props set statistics {0}, alter column context set statistics {0}"


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0014_lane_judged")]
    operations = [migrations.RunSQL(SET.format(0), SET.format(-1))]
