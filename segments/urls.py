"""Pages about one project. The API's routes are in segments.api_urls."""

from django.urls import path

from segments import pages

urlpatterns = [
    path("projects/<slug:slug>/", pages.project_home, name="project"),
    path("projects/<slug:slug>/live/", pages.live_page, name="live"),
    path("projects/<slug:slug>/live/rows", pages.live_rows, name="live-rows"),
]
