"""The wiring app: loads the Celery application with Django, so that every process publishes to the same broker."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PersonaConfig(AppConfig):
    name = "persona"

    def ready(self) -> None:
        from django.conf import settings

        from persona import account_audit, broker, celery, checks  # noqa: F401 - some register themselves
        from persona.lib import tracing

        tracing.configure(settings.PERSONA_TRACES / 1_000_000)

        # Of any app: this one has no models, and so sends no post_migrate of its own.
        post_migrate.connect(broker.install, dispatch_uid="persona.broker")
        account_audit.connect()
