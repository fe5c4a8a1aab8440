"""The whole public URL table, one line per route."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from keys.api import projects
from persona import config, docs, errors, pages, quickstart
from persona.account import signin, tokens
from persona.health import ingest as ingest_health
from persona.schema import hooks as schema

urlpatterns = [
    path("", pages.home, name="home"),
    path("", include("segments.pages.urls")),
    path("", include("keys.pages.urls")),
    path("", include("ingestion.pages.urls")),
    path("", include("delivery.pages.urls")),
    path("signin/", signin.sign_in, name="signin"),
    path("account/", include("persona.account.urls")),
    path("signout/", LogoutView.as_view(next_page="signin"), name="signout"),
    re_path(r"^quickstart/?$", quickstart.quickstart, name="quickstart"),
    re_path(r"^health/?$", pages.health),
    re_path(r"^ready/?$", pages.ready),
    re_path(r"^metrics/?$", pages.measured),
    path("", include("ingestion.wires")),
    re_path(r"^api/ingestion/health/?$", ingest_health.IngestHealthView.as_view()),
    re_path(r"^api/auth/token/?$", tokens.TokenView.as_view()),
    re_path(r"^api/auth/token/refresh/?$", tokens.RefreshView.as_view()),
    path("api/v2/pipeline/", include("ingestion.urls")),
    re_path(r"^api/v2/pipeline/config/?$", config.ConfigView.as_view()),
    path("api/projects/<str:project>/", include("ingestion.api.urls")),
    re_path(r"^api/schema/?$", schema.schema),
    re_path(r"^api/docs/?$", schema.page, name="api-docs"),
    re_path(r"^api/projects/?$", projects.Projects.as_view()),
    re_path(r"^api/projects/(?P<project>[^/]+)/?$", projects.ProjectDetail.as_view()),
    path("api/projects/<str:project>/", include("keys.api.urls")),
    path("api/projects/<str:project>/", include("segments.api.urls")),
    path("api/projects/<str:project>/", include("delivery.api.urls")),
    path("api/projects/<str:project>/", include("persona.api_urls")),
    re_path(r"^docs/?$", docs.page),
    re_path(r"^docs/(?P<name>[-a-zA-Z0-9_/]+?)/?$", docs.page, name="docs"),
    path("admin/login/", signin.admin_sign_in),  # before the admin's own
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    # A few small files, so that one process is a whole installation; a proxy in front may serve STATIC_ROOT instead.
    path("assets/sdk.js", pages.sdk),
    path("static/<path:path>", pages.asset),
]
handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler429 = errors.too_many  # django-allauth asks for it
handler500 = errors.broken
