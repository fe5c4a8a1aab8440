"""Routes under /api/projects/<project>/ that need every room; each with and without the trailing slash."""

from django.urls import re_path

from persona.privacy import api as privacy

urlpatterns = [
    re_path(r"^erasures/?$", privacy.Erasures.as_view()),
    re_path(r"^export/?$", privacy.Export.as_view()),
    re_path(r"^suppressions/?$", privacy.Suppressions.as_view()),
]
