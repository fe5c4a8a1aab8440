"""Which keys are publishable, for whoever meets many ids. Remembered: a key never changes its kind."""

from collections.abc import Collection

from keys.models import ApiKey

REMEMBERED = 10_000

_kinds: dict[int, str] = {}


def publishable(project: int, keys: Collection[int | None]) -> set[int | None]:
    """Those of `keys` that are publishable keys of the project."""
    unknown = [key for key in keys if key is not None and key not in _kinds]
    if unknown:
        if len(_kinds) > REMEMBERED:
            _kinds.clear()
        _kinds.update(ApiKey.objects.filter(project_id=project, id__in=unknown).values_list("id", "kind"))
    return {key for key in keys if key is not None and _kinds.get(key) == ApiKey.Kind.PUBLISHABLE}
