"""The forms of the pages and of the admin: what the services would refuse is shown beside the field."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from keys.checked import checked_expiry, checked_origins, checked_scopes
from keys.models import ApiKey
from keys.project_settings import checked_settings, require_unchanged, settings_etag
from keys.scopes import SCOPES
from persona.lib.problems import Problem

GRACES = {
    "now": timedelta(0),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "90d": timedelta(days=90),
}
GRACE_WORDS = ["no longer: stop it now", "1 hour", "24 hours", "7 days", "90 days"]
LIFETIMES = {"": "never", "30": "after 30 days", "90": "after 90 days", "365": "after a year"}


class KeyForm(forms.Form):
    """A key on its page: a publishable one is limited by origins, a secret one by scopes. `kind`: it is settled."""

    kind = forms.ChoiceField(choices=ApiKey.Kind.choices, initial=ApiKey.Kind.PUBLISHABLE)
    name = forms.CharField(max_length=200, error_messages={"required": "Say what the key is for, such as Web shop."})
    origins = forms.CharField(required=False)
    scopes = forms.MultipleChoiceField(choices=list(SCOPES.items()), required=False)
    expires = forms.ChoiceField(choices=list(LIFETIMES.items()), required=False)

    def __init__(self, data: Any = None, *, kind: str | None = None, **options: Any) -> None:
        super().__init__(data, **options)
        self.settled = kind
        if kind is not None:
            self.fields["kind"].required = False

    @property
    def expiry(self) -> datetime | None:
        days = self.cleaned_data["expires"]
        return timezone.now() + timedelta(days=int(days)) if days else None

    def clean(self) -> dict[str, Any]:
        """Limits that belong to the other kind are not an error: without the script both are on the page."""
        super().clean()
        found = self.cleaned_data
        kind = found["kind"] = self.settled or found.get("kind", "")
        limits = {"origins": str(found.get("origins") or "").split(), "scopes": list(found.get("scopes") or [])}
        found["origins"] = self._checked("origins", limits["origins"] if kind == ApiKey.Kind.PUBLISHABLE else [])
        found["scopes"] = limits["scopes"] if kind == ApiKey.Kind.SECRET else []
        return found

    def _checked(self, field: str, given: list[str]) -> list[str]:
        try:
            return checked_origins(ApiKey.Kind.PUBLISHABLE, given)
        except Problem as problem:
            self.add_error(field, problem.detail)
            return []


class RotateForm(forms.Form):
    grace = forms.ChoiceField(choices=list(zip(GRACES, GRACE_WORDS, strict=True)))


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """`etag`: of the settings that the form was made from; who edits others than the stored ones loses nothing."""

    etag = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk:
            self.fields["etag"].initial = settings_etag(self.instance)

    def clean_settings(self) -> dict[str, Any]:
        """Only settings that the product knows, with values it can use."""
        try:
            return checked_settings(self.cleaned_data["settings"] or {})
        except Problem as problem:
            raise ValidationError(problem.detail) from None

    def clean_etag(self) -> str:
        given = str(self.cleaned_data["etag"])
        if self.instance.pk:
            try:
                require_unchanged(self.instance, given)
            except Problem as problem:
                self.add_error("settings" if "settings" in self.fields else None, problem.detail)
        return given


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    def clean(self) -> dict[str, Any]:
        super().clean()
        kind = self.cleaned_data.get("kind", self.instance.kind)
        for field, check in (("origins", checked_origins), ("scopes", checked_scopes)):
            given = self.cleaned_data.get(field) or []
            try:
                self.cleaned_data[field] = check(kind, _words(given))
            except Problem as problem:
                self.add_error(field, problem.detail)
        try:
            checked_expiry(self.cleaned_data.get("expires_at"))
        except Problem as problem:
            self.add_error("expires_at", problem.detail)
        return self.cleaned_data


def _words(given: Any) -> list[str]:
    if isinstance(given, list) and all(isinstance(word, str) for word in given):
        return given
    raise Problem(400, "key.invalid", 'Give a list of texts, such as ["https://shop.example"].')
