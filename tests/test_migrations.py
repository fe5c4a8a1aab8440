"""The models and the migrations say the same."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection


@pytest.mark.django_db
def test_no_model_change_waits_for_a_migration() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.django_db
def test_every_unmanaged_model_has_exactly_the_columns_of_its_table() -> None:
    unmanaged = [model for model in apps.get_models() if not model._meta.managed]
    assert len(unmanaged) >= 16
    for model in unmanaged:
        with connection.cursor() as cursor:
            cursor.execute(
                "select column_name from information_schema.columns where table_name = %s",
                [model._meta.db_table],
            )
            columns = {name for (name,) in cursor.fetchall()}
        assert columns == {field.column for field in model._meta.local_concrete_fields if field.column}, model
