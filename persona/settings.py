"""All settings, read from the environment. docs/operations/settings.md has a line for each variable."""

import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ProgrammingError
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.retry import Retry

from persona.lib import env, mail, metrics
from persona.lib.log import configure_logging

ROOT = Path(__file__).resolve().parent.parent

# --- The installation ---------------------------------------------------------------------------------------------
PERSONA_HOME = Path(env.text("PERSONA_HOME") or ROOT / "var").absolute()
DEBUG = env.flag("PERSONA_DEBUG", default=False)
TESTING = "pytest" in sys.modules


def secret_key() -> str:
    """PERSONA_SECRET_KEY, or the one that `manage.py up` keeps in the home."""
    kept = PERSONA_HOME / "secret_key"
    if given := env.text("PERSONA_SECRET_KEY"):
        return given
    if kept.exists():
        return kept.read_text().strip()
    if TESTING or DEBUG or sys.argv[1:2] != ["runserver"]:
        return "insecure-only-for-commands-and-tests"  # persona.checks refuses to serve with it
    raise ImproperlyConfigured("Set PERSONA_SECRET_KEY (50 random characters), or start with `manage.py up`.")


SECRET_KEY = secret_key()
SECRET_KEY_FALLBACKS = env.words("PERSONA_SECRET_KEY_FALLBACKS")  # former keys: still read, never written with
ALLOWED_HOSTS = env.words("PERSONA_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]") + (["testserver"] if TESTING else [])
CSRF_TRUSTED_ORIGINS = env.words("PERSONA_TRUSTED_ORIGINS")
PUBLIC_URL = env.origin("PERSONA_PUBLIC_URL")  # links that are mailed or copied begin with it

# --- Applications -------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "persona.apps.PersonaConfig",
    "keys.apps.KeysConfig",
    "ingestion.apps.IngestionConfig",
    "segments.apps.SegmentsConfig",
    "delivery.apps.DeliveryConfig",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_eventstream",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
]
MIDDLEWARE = [
    "persona.middleware.request_id",
    "persona.middleware.origin",
    "persona.middleware.content_policy",
    "persona.middleware.null_free",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "persona.urls"
ASGI_APPLICATION = "persona.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- PostgreSQL ---------------------------------------------------------------------------------------------------
VANISHED = {"keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000}
PREPARE_STATEMENTS = env.flag("PERSONA_PREPARE_STATEMENTS", default=True)
# Pages and management requests that a web process answers at once: each place has a thread, whose connection stays.
PERSONA_REQUEST_THREADS = env.number("PERSONA_REQUEST_THREADS", 10, least=1, most=1_000)


def database(name: str, url: str) -> dict[str, Any]:
    """A Django database from a PostgreSQL URL or DSN; several hosts and any libpq option work."""
    try:
        options = conninfo_to_dict(url)
    except ProgrammingError:  # its text repeats the address, password and all
        raise ImproperlyConfigured(
            f"{name} is not a PostgreSQL address: postgresql://user:password@host/database."
        ) from None
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": options.pop("dbname", "persona"),
        "USER": options.pop("user", ""),
        "PASSWORD": options.pop("password", ""),
        "HOST": options.pop("host", ""),
        "PORT": options.pop("port", ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        # Only the hot paths' own cursors prepare; a pgbouncer in transaction mode wants it off.
        # A host that vanishes is noticed within a minute, by writers and by readers; sockets know nothing of it.
        "OPTIONS": {
            "connect_timeout": 5,
            **VANISHED,
            "prepare_threshold": 2 if PREPARE_STATEMENTS else None,
            **options,
        },
    }


def database_url() -> str:
    """DATABASE_URL, or that of the embedded server which `manage.py up` runs on this home at this moment."""
    running = PERSONA_HOME / "database_url"
    if given := env.text("DATABASE_URL"):
        return given
    try:
        return running.read_text()
    except FileNotFoundError:
        return "postgresql:///persona"
    except PermissionError:
        raise ImproperlyConfigured(f"{running} belongs to another user: run this as whoever runs `up`.") from None


DATABASE_URL = database_url()
INBOX_DATABASE_URL = env.text("INBOX_DATABASE_URL")
DATABASES = {"default": database("DATABASE_URL", DATABASE_URL)}
if INBOX_DATABASE_URL:
    DATABASES["inbox"] = database("INBOX_DATABASE_URL", INBOX_DATABASE_URL)
INBOX_ALIAS = "inbox" if INBOX_DATABASE_URL else "default"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis, when there is one: broker, bell and cache -------------------------------------------------------------
REDIS_URL = env.text("REDIS_URL")
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {"BACKEND": "persona.cache.NeighborlyRedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "persona_cache"}
        if REDIS_URL
        else {"BACKEND": "persona.cache.PostgresCache", "LOCATION": "persona_cache"}
    )
}


def redis_arguments(url: str) -> dict[str, Any]:
    """A Redis address as the keyword arguments of redis.Redis, which is what django-eventstream wants."""
    options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]  # redis-py has it untyped
    kind = options.pop("connection_class", None)
    if kind is SSLConnection:
        options["ssl"] = True
    if "path" in options:
        options["unix_socket_path"] = options.pop("path")
    # The evaluator rings the bell: a Redis that does not answer must not hold it up (by default for seconds, with
    # three retries). One retry at once: the connection may be an old one.
    return {**options, "socket_timeout": 1, "socket_connect_timeout": 1, "retry": Retry(NoBackoff(), 1)}


# django-eventstream carries the bell between processes; without Redis the bell is PostgreSQL's NOTIFY.
if REDIS_URL:
    EVENTSTREAM_REDIS = redis_arguments(REDIS_URL)

# --- Celery -------------------------------------------------------------------------------------------------------
# The tasks' settings (queues, transport options, beat) are in persona.celery; here is only what varies.
# Without Redis or a broker of its own, the queue is pgmq inside the main database.
CELERY_BROKER_URL = env.text("CELERY_BROKER_URL") or REDIS_URL or "pgmq://main-database"
CELERY_DB_REUSE_MAX = 1_000_000  # Celery's Django fixup would otherwise reconnect around every task (3.5 ms)

# --- Ingest -------------------------------------------------------------------------------------------------------
PERSONA_INGEST_RATE = env.number("PERSONA_INGEST_RATE", 5_000)  # events a second for each key; 0: no limit
PERSONA_INGEST_BURST = env.number("PERSONA_INGEST_BURST", 20_000, least=1)
PERSONA_API_RATE = env.number("PERSONA_API_RATE", 100)  # requests a second for each key and person; 0: no limit
PERSONA_API_BURST = env.number("PERSONA_API_BURST", 1_000, least=1)
PERSONA_INBOX_QUEUE_BYTES = env.number("PERSONA_INBOX_QUEUE_BYTES", 64 * 1024 * 1024, least=1024 * 1024)
PERSONA_HEALTH_LAG = env.number("PERSONA_HEALTH_LAG", 60, least=1)  # seconds a batch may wait before health says so
PERSONA_INBOX_MOST_BYTES = env.number("PERSONA_INBOX_MOST_BYTES", 4 * 1024**3, least=1024 * 1024)  # not applied yet
PERSONA_LEAST_FREE_BYTES = env.number("PERSONA_LEAST_FREE_BYTES", 256 * 1024**2)  # on the embedded server's disk
PERSONA_RETENTION_DAYS = env.number("PERSONA_RETENTION_DAYS", 400, least=1, most=3_650)
PERSONA_DEAD_LETTER_DAYS = env.number("PERSONA_DEAD_LETTER_DAYS", 90, least=1, most=3_650)
PERSONA_DEDUPE_DAYS = env.number("PERSONA_DEDUPE_DAYS", 0, most=3_650)  # 0: as long as events are kept
PERSONA_CHANGE_RETENTION_DAYS = env.number("PERSONA_CHANGE_RETENTION_DAYS", 30, least=1, most=3_650)  # the log
PERSONA_VERIFY_INTERVAL = env.number("PERSONA_VERIFY_INTERVAL", 0)  # seconds between two of a project; 0: never
PERSONA_WORKERS = env.number("PERSONA_WORKERS", 1, least=1, most=64)  # of live events, as `up` runs them
PERSONA_SHARDS = env.number("PERSONA_SHARDS", 8, least=1, most=256)

# --- Stream -------------------------------------------------------------------------------------------------------
PERSONA_STREAM_HEARTBEAT = env.number("PERSONA_STREAM_HEARTBEAT", 15, least=1)  # seconds
PERSONA_STREAM_IDLE = env.number("PERSONA_STREAM_IDLE", 900, least=1)  # seconds without a change, then the end
PERSONA_STREAM_AGE = env.number("PERSONA_STREAM_AGE", 14_400, least=1)  # seconds at most, less up to a fifth by chance
PERSONA_STREAM_STALL = env.number("PERSONA_STREAM_STALL", 30, least=1, most=50)  # seconds; the server itself waits 60
PERSONA_STREAM_LIMIT = env.number("PERSONA_STREAM_LIMIT", 20_000, least=1)  # open streams of one process
PERSONA_STREAM_PROJECT_LIMIT = env.number("PERSONA_STREAM_PROJECT_LIMIT", 15_000, least=1)  # and of one project in it
PERSONA_STREAM_KEY_LIMIT = env.number("PERSONA_STREAM_KEY_LIMIT", 10_000, least=1)  # and of one key in it

# --- Deliveries ---------------------------------------------------------------------------------------------------
PERSONA_ALLOW_PRIVATE_DESTINATIONS = env.flag("PERSONA_ALLOW_PRIVATE_DESTINATIONS", default=False)
PERSONA_DELIVERY_SECONDS = env.number("PERSONA_DELIVERY_SECONDS", 10, least=1, most=30)  # for a whole request
PERSONA_PROJECT_DESTINATIONS = env.number("PERSONA_PROJECT_DESTINATIONS", 50, least=1, most=1_000)
PERSONA_DELIVERY_DAYS = env.number("PERSONA_DELIVERY_DAYS", 7, least=1, most=365)  # the delivery log

# --- People and pages ---------------------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# smtp://user:password@host:587 (STARTTLS) or smtps://...:465. Without it links are shown instead of sent.
EMAIL_URL = env.text("EMAIL_URL")
globals().update(mail.settings(EMAIL_URL))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("PERSONA_MAIL_FROM", "persona@localhost")
ACCOUNT_ADAPTER = "persona.account.adapters.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"  # people come by invitation; an address is only where a lost password is mailed to
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_NOTIFICATIONS = True  # a changed password or factor is mailed to whose it is
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
PASSWORD_RESET_TIMEOUT = 24 * 3600  # seconds
MFA_ADAPTER = "persona.account.adapters.FactorAdapter"
MFA_FORMS = {
    "authenticate": "persona.account.factors.SignInForm",
    "reauthenticate": "persona.account.factors.ConfirmForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # addresses are not verified here
MFA_TOTP_ISSUER = "Persona"
MFA_TOTP_TOLERANCE = 1  # a phone's clock may be half a minute off
RATELIMIT_IP_META_KEY = "keys.limits.tries.origin"
LOGIN_URL = "signin"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "persona.errors.csrf_failed"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.flag("PERSONA_HTTPS", default=False)
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("PERSONA_BEHIND_PROXY", default=False) else None
)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = ["persona.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = PERSONA_HOME / "static"
STATICFILES_DIRS = [ROOT / "static"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 1024 * 1024

# --- REST ---------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["keys.api.bodies.StrictJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "keys.api.access.KeyAuthentication",
        "keys.api.access.PersonAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["keys.api.access.ProjectPermission"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "persona.errors.api_exception",
    "UNAUTHENTICATED_USER": None,
}
# Tokens of people: signed with a key made for them alone, and of no use after a change of the password.
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "SIGNING_KEY": sha256(b"persona.person.1:" + SECRET_KEY.encode()).hexdigest(),
    "CHECK_REVOKE_TOKEN": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Persona",
    "VERSION": "1",
    "DESCRIPTION": "Events in, live segments out. Refusals are problem documents; /docs/errors has a heading for each.",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": ["persona.schema.hooks.complete"],
}

# --- Metrics ------------------------------------------------------------------------------------------------------
PERSONA_METRICS_TOKEN = env.text("PERSONA_METRICS_TOKEN")  # without it only a signed-in operator reads /metrics
if folder := env.text("PROMETHEUS_MULTIPROC_DIR"):
    metrics.share(Path(folder))

# --- Traces -------------------------------------------------------------------------------------------------------
# Events of a million that are looked at; needs the extra `traces`.
PERSONA_TRACES = env.number("PERSONA_TRACES", 0, most=1_000_000)

# --- Logs ---------------------------------------------------------------------------------------------------------
LOG_LEVEL = env.text("PERSONA_LOG_LEVEL", "INFO").upper()
LOGGING_CONFIG = None
configure_logging(LOG_LEVEL, colors=sys.stderr.isatty())
