"""Routes of ingestion under /api/v2/pipeline/; each with and without the trailing slash (a redirect loses a body)."""

from django.urls import re_path

from ingestion.api import ingest

urlpatterns = [
    re_path(r"^ingest/?$", ingest.IngestView.as_view()),
    re_path(r"^batches/(?P<batch_id>[^/]+)/?$", ingest.BatchView.as_view()),
]
