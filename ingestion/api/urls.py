"""Routes of ingestion under /api/projects/<project>/; each with and without the trailing slash."""

from django.urls import re_path

from ingestion.api import letters, stats

urlpatterns = [
    re_path(r"^dead-letters/?$", letters.DeadLetters.as_view()),
    re_path(r"^dead-letters/download/?$", letters.Download.as_view()),
    re_path(r"^dead-letters/redrive/?$", letters.RedriveMany.as_view()),
    re_path(r"^dead-letters/(?P<number>[0-9]+)/?$", letters.Letter.as_view()),
    re_path(r"^dead-letters/(?P<number>[0-9]+)/redrive/?$", letters.Redrive.as_view()),
    re_path(r"^stats/?$", stats.ProjectStatsView.as_view()),
    re_path(r"^parked-batches/?$", letters.Parked.as_view()),
    re_path(r"^parked-batches/(?P<batch>[^/]+)/retry/?$", letters.Retry.as_view()),
]
