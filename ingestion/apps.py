from django.apps import AppConfig
from django.db.models.signals import post_migrate, post_save


class IngestionConfig(AppConfig):
    name = "ingestion"

    def ready(self) -> None:
        from ingestion import receivers

        post_save.connect(receivers.project_saved, sender="keys.Project", dispatch_uid="ingestion.project_saved")
        post_migrate.connect(receivers.migrated, sender=self, dispatch_uid="ingestion.migrated")
