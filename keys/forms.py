"""The admin's forms: what the services would refuse is shown beside the field."""

from typing import Any

import msgspec
from django import forms
from django.core.exceptions import ValidationError

from keys.checked import checked_expiry, checked_origins, checked_scopes
from keys.models import ProjectSettings
from persona.lib.problems import Problem


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    def clean_settings(self) -> dict[str, Any]:
        """Only settings that the product knows, with values it can use."""
        given = self.cleaned_data["settings"] or {}
        try:
            msgspec.convert(given, ProjectSettings)
        except msgspec.ValidationError as error:
            raise ValidationError(str(error)) from None
        return dict(given)


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
