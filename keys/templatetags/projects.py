"""The project switcher: the other projects of whoever looks."""

from collections.abc import Mapping
from typing import Any

from django import template

from keys.visibility import visible_projects

register = template.Library()

MOST = 20


@register.inclusion_tag("_switch.html", takes_context=True)
def project_switch(context: Mapping[str, Any]) -> dict[str, Any]:
    """The newest MOST of them; home has the rest. One query."""
    project = context["project"]
    others = visible_projects(context["request"].user).exclude(pk=project.pk)
    return {"project": project, "others": list(others[:MOST])}
