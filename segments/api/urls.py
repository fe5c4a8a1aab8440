"""Routes of the management API under /api/projects/<project>/; each with and without the trailing slash."""

from django.urls import path, re_path

from segments.api import history, imports, insight, personas, profiles

urlpatterns = [
    re_path(r"^personas/?$", personas.Personas.as_view()),
    re_path(r"^personas/preview/?$", insight.PreviewNew.as_view()),
    re_path(r"^personas/import/segops/?$", imports.SegOps.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/preview/?$", insight.Preview.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/?$", personas.PersonaDetail.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/members/?$", personas.Members.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/versions/?$", history.Versions.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/overlap/?$", history.Overlaps.as_view()),
    re_path(r"^personas/(?P<slug>[^/]+)/explain/?$", insight.Explain.as_view()),
    re_path(r"^profiles/?$", profiles.ProfileFound.as_view()),
    re_path(r"^profiles/(?P<reference>.+)/history/?$", profiles.History.as_view()),
    re_path(r"^profiles/(?P<reference>.+)/events/?$", profiles.Events.as_view()),
    path("profiles/<path:reference>", profiles.ProfileDetail.as_view()),
    re_path(r"^sandbox/?$", insight.Sandbox.as_view()),
    re_path(r"^changes/?$", personas.Changes.as_view()),
]
