"""The server's door: exact hot paths go past Django, everything else to Django."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "persona.settings")
application = get_asgi_application()
