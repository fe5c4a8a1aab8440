"""A page of one project."""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from keys.models import Project


def project_shown(
    request: HttpRequest, project: Project, template: str, shown: Mapping[str, object], *, here: str, status: int = 200
) -> HttpResponse:
    """here: the entry of the project's navigation that is marked. status: 422 beside a form with errors."""
    return render(request, template, {**shown, "project": project, "here": here}, status=status)
