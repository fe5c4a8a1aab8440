"""The forms of destinations: what the services would refuse is shown beside the field."""

from datetime import timedelta
from typing import Any

from django import forms

from delivery.models import Destination
from delivery.shapes import Range
from keys.models import Project
from persona.lib.problems import Problem
from segments.models import Persona

KINDS = {
    "webhook": "an address of yours that is told each enter and leave",
    "amplitude": "gets the project's events",
    "mixpanel": "gets the project's events",
}
GRACES = {
    "now": timedelta(0),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
GRACE_WORDS = ["no longer: stop it now", "1 hour", "24 hours", "7 days"]
OPS = {"": "enters and leaves", "enter": "enters", "leave": "leaves"}
FIELDS = {"settings": "batch"}  # what a form calls it otherwise than the service


class DestinationForm(forms.Form):
    """Of a new destination, or of `made`: then the kind is settled, and an empty secret keeps the one it has."""

    kind = forms.ChoiceField(choices=list(KINDS.items()), initial=Destination.Kind.WEBHOOK)
    name = forms.CharField(max_length=200, error_messages={"required": "Say what it is, such as CRM."})
    url = forms.CharField(max_length=2_000, required=False)
    personas = forms.MultipleChoiceField(required=False)
    op = forms.ChoiceField(
        required=False, choices=[("", "enters and leaves"), ("enter", "enters"), ("leave", "leaves")]
    )
    batch = forms.IntegerField(required=False, min_value=1, error_messages={"invalid": "A whole number is needed."})
    secret = forms.CharField(max_length=500, required=False)
    version = forms.IntegerField(required=False)

    def __init__(self, data: Any, project: Project, made: Destination | None = None) -> None:
        super().__init__(data, initial=None if made is None else _filled(made))
        slugs = Persona.objects.filter(project=project, deleted_at=None).order_by("slug").values_list("slug", flat=True)
        kept = list(made.personas) if made else []  # those that were deleted meanwhile are still listed
        self.fields["personas"].choices = [(slug, slug) for slug in dict.fromkeys([*slugs, *kept])]  # type: ignore[attr-defined]  # the stubs know no field's own attributes
        self.made = made
        if made is not None:
            self.fields["kind"].required = False

    @property
    def given(self) -> dict[str, Any]:
        """What the services take: of a webhook personas and ops, of the others a secret."""
        found = self.cleaned_data
        kind = self.made.kind if self.made else found["kind"]
        settings = dict(self.made.settings) if self.made else {}
        settings.pop("batch", None)
        if found["batch"]:
            settings["batch"] = found["batch"]
        taken = {"name": found["name"], "url": found["url"], "settings": settings}
        if kind == Destination.Kind.WEBHOOK:
            return taken | {"personas": found["personas"], "ops": [found["op"]] if found["op"] else []}
        return taken | ({"secret": found["secret"]} if found["secret"] or not self.made else {})

    def refuse(self, problem: Problem) -> None:
        """Beside the field that it is about, if there is one."""
        field = str(problem.extra.get("field", ""))
        place = FIELDS.get(field, field)
        detail = problem.detail.removeprefix(f"{field}: ").removeprefix(f"{place}: ")
        self.add_error(place if place in self.fields else None, detail[:1].upper() + detail[1:])


class RotateForm(forms.Form):
    grace = forms.ChoiceField(choices=list(zip(GRACES, GRACE_WORDS, strict=True)))


class RangeForm(forms.Form):
    """Numbers of the change log, both included."""

    first = forms.IntegerField(min_value=1, max_value=2**62)
    last = forms.IntegerField(min_value=1, max_value=2**62)

    @property
    def range(self) -> Range:
        return Range(**self.cleaned_data)


def _filled(made: Destination) -> dict[str, Any]:
    one_op = made.ops[0] if len(made.ops) == 1 and made.ops[0] in OPS else ""
    return {
        "kind": made.kind,
        "name": made.name,
        "url": made.url,
        "personas": made.personas,
        "op": one_op,
        "batch": made.settings.get("batch"),
        "version": made.version,
    }
