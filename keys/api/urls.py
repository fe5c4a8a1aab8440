"""Routes of a project's own things under /api/projects/<project>/; each with and without the trailing slash."""

from django.urls import re_path

from keys.api import keys, projects

urlpatterns = [
    re_path(r"^keys/?$", keys.Keys.as_view()),
    re_path(r"^keys/(?P<lookup>[^/]+)/?$", keys.KeyDetail.as_view()),
    re_path(r"^keys/(?P<lookup>[^/]+)/rotate/?$", keys.RotateKey.as_view()),
    re_path(r"^settings/?$", projects.Settings.as_view()),
    re_path(r"^settings/versions/?$", projects.SettingsVersions.as_view()),
]
