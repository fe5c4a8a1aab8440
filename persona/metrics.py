"""What /metrics says: what all processes have measured, and the figures of the databases.

Only for the operator: it tells much about a business, and asking for it costs some queries.
"""

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from prometheus_client.exposition import choose_encoder

from persona.figures import Figures
from persona.lib import metrics
from persona.lib.problems import Problem
from persona.lib.wire import bearer


def exposition(accepted: str) -> tuple[bytes, str]:
    """The text, and its media type. `accepted`: the Accept header of whoever asks."""
    everything = metrics.registry()
    everything.register(Figures())
    encode, media_type = choose_encoder(accepted)
    return encode(everything), media_type


def require_operator(request: HttpRequest) -> None:
    """Whoever knows PERSONA_METRICS_TOKEN, or is signed in as an operator. Raises Problem 401."""
    token = settings.PERSONA_METRICS_TOKEN
    given = bearer({"authorization": request.headers.get("authorization", "")}) or ""
    if token and constant_time_compare(given, token):
        return
    person = request.user
    if not (person.is_authenticated and person.is_active and person.is_staff):
        detail = "Send PERSONA_METRICS_TOKEN as a Bearer token, or sign in as an operator."
        raise Problem(401, "metrics.refused", detail)
