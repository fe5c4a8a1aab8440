"""Routes of ingestion under /api/projects/<project>/; each with and without the trailing slash."""

from django.urls import re_path

from ingestion import api_letters, api_stats

urlpatterns = [
    re_path(r"^dead-letters/?$", api_letters.DeadLetters.as_view()),
    re_path(r"^dead-letters/download/?$", api_letters.Download.as_view()),
    re_path(r"^dead-letters/redrive/?$", api_letters.RedriveMany.as_view()),
    re_path(r"^dead-letters/(?P<number>[0-9]+)/?$", api_letters.Letter.as_view()),
    re_path(r"^dead-letters/(?P<number>[0-9]+)/redrive/?$", api_letters.Redrive.as_view()),
    re_path(r"^stats/?$", api_stats.ProjectStatsView.as_view()),
    re_path(r"^parked-batches/?$", api_letters.Parked.as_view()),
    re_path(r"^parked-batches/(?P<batch>[^/]+)/retry/?$", api_letters.Retry.as_view()),
]
