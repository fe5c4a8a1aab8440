"""What one would write first: Django REST framework serializers, one row an event, bulk_create in the request.

Served beside ours by bench/ingest.py, with the same PostgreSQL: DATABASE_URL=... uvicorn --interface wsgi naive:app
"""

import os
from typing import Any

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

TABLE = """
create table if not exists naive_event (
    id bigserial primary key, type text not null, event text not null, user_id text not null,
    anonymous_id text not null, message_id text not null unique, properties jsonb not null
)
"""


def database() -> dict[str, Any]:
    words = conninfo_to_dict(os.environ["DATABASE_URL"])
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    kept = {ours: words[theirs] for theirs, ours in names.items() if theirs in words}
    return {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": None, **kept}


settings.configure(
    DATABASES={"default": database()},
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["rest_framework"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # the only one: it says how long an answer is
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - after the set-up
from django.db import connection, models  # noqa: E402 - after the set-up
from django.urls import path  # noqa: E402 - after the set-up
from rest_framework import serializers  # noqa: E402 - after the set-up
from rest_framework.request import Request  # noqa: E402 - after the set-up
from rest_framework.response import Response  # noqa: E402 - after the set-up
from rest_framework.views import APIView  # noqa: E402 - after the set-up


class Event(models.Model):
    type = models.TextField()
    event = models.TextField()
    user_id = models.TextField()
    anonymous_id = models.TextField()
    message_id = models.TextField(unique=True)
    properties = models.JSONField()

    class Meta:
        app_label = "naive"
        db_table = "naive_event"


class EventSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(["track", "identify", "page", "screen", "group", "alias"])
    event = serializers.CharField(max_length=200)
    userId = serializers.CharField(max_length=512)  # noqa: N815 - the wire's
    anonymousId = serializers.CharField(max_length=512)  # noqa: N815 - the wire's
    messageId = serializers.CharField(max_length=512)  # noqa: N815 - the wire's
    properties = serializers.DictField()


class BatchSerializer(serializers.Serializer[Any]):
    batch = EventSerializer(many=True)


class Ingest(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        given = BatchSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        rows = [
            Event(
                type=one["type"],
                event=one["event"],
                user_id=one["userId"],
                anonymous_id=one["anonymousId"],
                message_id=one["messageId"],
                properties=one["properties"],
            )
            for one in given.validated_data["batch"]
        ]
        Event.objects.bulk_create(rows, ignore_conflicts=True)  # type: ignore[attr-defined]  # of no installed app
        return Response({"accepted": len(rows)}, status=202)


urlpatterns = [path("api/v2/pipeline/ingest", Ingest.as_view())]
with connection.cursor() as cursor:
    cursor.execute(TABLE)
app = get_wsgi_application()
