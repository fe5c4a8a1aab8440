"""Routes of the management API under /api/projects/<project>/; each with and without the trailing slash."""

from django.urls import path, re_path

from segments import api, api_history, api_imports, api_insight, api_profiles

urlpatterns = [
    re_path(r"^personas/?$", api.Personas.as_view()),
    re_path(r"^personas/preview/?$", api_insight.PreviewNew.as_view()),
    re_path(r"^personas/import/segops/?$", api_imports.SegOps.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/preview/?$", api_insight.Preview.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/?$", api.PersonaDetail.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/members/?$", api.Members.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/versions/?$", api_history.Versions.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/overlap/?$", api_history.Overlaps.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/explain/?$", api_insight.Explain.as_view()),
    re_path(r"^profiles/?$", api_profiles.ProfileFound.as_view()),
    re_path(r"^profiles/(?P<reference>.+)/history/?$", api_profiles.History.as_view()),
    re_path(r"^profiles/(?P<reference>.+)/events/?$", api_profiles.Events.as_view()),
    path("profiles/<path:reference>", api_profiles.ProfileDetail.as_view()),
    re_path(r"^sandbox/?$", api_insight.Sandbox.as_view()),
    re_path(r"^changes/?$", api.Changes.as_view()),
]
