"""The forms about people and about what a project has set for itself."""

import re
from typing import Any

import msgspec
from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from keys.models import SLUG, Member, Project, ProjectSettings, SamplingRule

ROLES = {
    "viewer": "looks at everything",
    "editor": "also makes and changes personas, destinations and keys",
    "owner": "also manages people and settings",
}
STREAMS = {
    "project": "changes of everybody in the project",
    "profile": "only the changes of the visitor it is used for",
    "off": "nothing",
}
NUMBERS = ("retention_days", "ingest_rate", "ingest_burst", "sample_rate", "flush_interval_ms", "refresh_after")
FLAG_LINES = 'Give an object of flags, such as {"new_checkout": true}.'


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=list(ROLES.items()), initial=Member.Role.VIEWER)


class InviteForm(RoleForm):
    email = forms.EmailField(required=False, error_messages={"invalid": "Write an address such as bob@shop.example."})


class NewPersonForm(BaseUserCreationForm):  # type: ignore[type-arg]  # not generic at run time
    """Name and password of somebody who was invited and has no account yet."""

    class Meta:
        model = User
        fields = ("username", "email")


class NewProjectForm(forms.Form):
    name = forms.CharField(max_length=200, error_messages={"required": "Say what the project is called."})
    slug = forms.CharField(max_length=64, required=False, validators=[SLUG])
    mode = forms.ChoiceField(choices=Project.Mode.choices, initial=Project.Mode.LIVE)

    def clean(self) -> dict[str, Any]:
        """Without a slug the name proposes one."""
        super().clean()
        found = self.cleaned_data
        if "slug" in found and not found["slug"]:
            found["slug"] = proposed(found.get("name", ""))
        if Project.objects.filter(slug=found.get("slug")).exists():
            self.add_error("slug", f"{found['slug']} is taken. Choose another.")
        return found


def always(words: str) -> dict[str, str]:
    """The same, whatever is wrong with a number."""
    return dict.fromkeys(("invalid", "min_value", "max_value"), words)


def whole(*, least: int, most: int | None = None) -> forms.IntegerField:
    """A field that may be left empty."""
    words = f"Write a whole number from {least:,} to {most:,}." if most else f"Write a whole number, {least} or more."
    return forms.IntegerField(required=False, min_value=least, max_value=most, error_messages=always(words))


class SettingsForm(forms.Form):
    """Empty means the installation's default. `cleaned_data` holds the values as ProjectSettings has them, or None."""

    name = forms.CharField(max_length=200, error_messages={"required": "Say what the project is called."})
    retention_days = whole(least=1, most=3_650)
    ingest_rate = whole(least=0)
    ingest_burst = whole(least=1)
    pk_streams = forms.ChoiceField(choices=list(STREAMS.items()))
    sample_rate = forms.FloatField(
        required=False, min_value=0, max_value=1, error_messages=always("Write a number from 0 to 1, such as 0.1.")
    )
    flush_interval_ms = whole(least=1)
    refresh_after = whole(least=1)
    sampling = forms.CharField(required=False)
    flags = forms.CharField(required=False)
    etag = forms.CharField(required=False)

    def clean_sampling(self) -> list[dict[str, Any]]:
        return [self._rule(line) for line in self.cleaned_data["sampling"].splitlines() if line.strip()]

    def _rule(self, line: str) -> dict[str, Any]:
        event, _, rate = line.strip().rpartition(" ")
        try:
            rule = msgspec.convert({"event": event.strip(), "rate": float(rate)}, SamplingRule)
        except (ValueError, msgspec.ValidationError):
            raise ValidationError(f"“{line.strip()}” is not an event and a share from 0 to 1.") from None
        return {"event": rule.event, "rate": rule.rate}

    def clean_flags(self) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(self.cleaned_data["flags"] or "{}")
        except msgspec.DecodeError as error:
            raise ValidationError(f"This is not JSON: {error}.") from None
        if not isinstance(found, dict):
            raise ValidationError(FLAG_LINES)
        return found


def filled(project: Project) -> dict[str, Any]:
    """What the form shows of a project."""
    chosen: ProjectSettings = project.options
    shown: dict[str, Any] = {field: project.settings.get(field) for field in NUMBERS}
    return {
        **shown,
        "name": project.name,
        "pk_streams": chosen.pk_streams,
        "sampling": "\n".join(f"{rule.event} {rule.rate:g}" for rule in chosen.sampling),
        "flags": msgspec.json.format(msgspec.json.encode(chosen.flags)).decode() if chosen.flags else "",
    }


def proposed(name: str) -> str:
    """A slug for a name: Harbour & Pine -> harbour-pine."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64].strip("-") or "project"
