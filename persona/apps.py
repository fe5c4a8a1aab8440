"""The wiring app: loads the Celery application with Django, so that every process publishes to the same broker."""

from django.apps import AppConfig


class PersonaConfig(AppConfig):
    name = "persona"

    def ready(self) -> None:
        from persona import celery, checks  # noqa: F401 - registers itself; needs the settings first
