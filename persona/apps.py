"""The wiring app: loads the Celery application with Django, so that every process publishes to the same broker."""

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate


class PersonaConfig(AppConfig):
    name = "persona"

    def ready(self) -> None:
        from django.conf import settings

        from persona import broker, celery, checks  # noqa: F401 - some register themselves
        from persona.account import audit as account_audit
        from persona.lib import tracing

        try:
            tracing.configure(settings.PERSONA_TRACES / 1_000_000)
        except ImportError:
            hint = "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http"
            raise ImproperlyConfigured(f"PERSONA_TRACES needs OpenTelemetry: install {hint}.") from None

        # Of any app: this one has no models, and so sends no post_migrate of its own.
        post_migrate.connect(broker.install, dispatch_uid="persona.broker")
        account_audit.connect()
