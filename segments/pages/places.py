"""What the pages about personas and profiles share: whom the address names."""

from django.http import Http404

from ingestion.models import Alias, Profile
from keys.models import Project
from segments.insight import reading
from segments.models import Persona


def persona_of(project: Project, slug: str) -> Persona:
    """Raises Http404."""
    found = Persona.objects.select_related("project").filter(project=project, slug=slug, deleted_at=None).first()
    if found is None:
        raise Http404
    return found


def profile_of(project: Project, public_id: str) -> Profile:
    """Following merges. Raises Http404."""
    found = reading.profile_by(project, reference=public_id)
    if found is None:
        raise Http404
    return found


def looked_up(project: Project, query: str) -> Profile | None:
    """By public id, userId, anonymousId or session id, whichever is found first."""
    for kind in ("", Alias.Kind.USER, Alias.Kind.ANONYMOUS, Alias.Kind.SESSION):
        if found := reading.profile_by(project, reference=query, kind=kind):
            return found
    return None
