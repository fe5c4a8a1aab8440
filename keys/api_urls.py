"""Routes of a project's own things under /api/projects/<project>/; each with and without the trailing slash."""

from django.urls import re_path

from keys import api_keys, api_projects

urlpatterns = [
    re_path(r"^keys/?$", api_keys.Keys.as_view()),
    re_path(r"^keys/(?P<lookup>[^/]+)/?$", api_keys.KeyDetail.as_view()),
    re_path(r"^keys/(?P<lookup>[^/]+)/rotate/?$", api_keys.RotateKey.as_view()),
    re_path(r"^settings/?$", api_projects.Settings.as_view()),
    re_path(r"^settings/versions/?$", api_projects.SettingsVersions.as_view()),
]
