"""Settings, each from the environment through django-environ; .env.example documents every one."""

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

from accessaudience import envfile, logs, secrets
from accessaudience.bucketurl import bucket_options
from accessaudience.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()
try:
    envfile.read(BASE_DIR / ".env")
except envfile.EnvFileError as error:
    raise ImproperlyConfigured(str(error)) from error

# The most that settings may say: nothing overflows that is counted from them.
_DAYS, _SECONDS, _BYTES, _MANY = 36_500, 30 * 24 * 60 * 60, 2**40, 2**31 - 1

DEBUG = env.flag("DEBUG", default=False)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")

DATA_DIR = Path(env.text("DATA_DIR", default=str(BASE_DIR / "data"))).absolute()
try:
    DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError as error:
    raise ImproperlyConfigured(f"DATA_DIR: the folder {DATA_DIR} cannot be made ({error.strerror}).") from error

DATABASES = {"default": env.database("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'accessaudience.sqlite3'}")}
_database = DATABASES["default"]
EMBEDDED = _database["ENGINE"] == "django.db.backends.sqlite3"
if EMBEDDED:
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384; "
            "PRAGMA journal_size_limit=67108864; PRAGMA foreign_keys=ON"
        ),
    }
else:
    _database["CONN_HEALTH_CHECKS"] = True
    _database["CONN_MAX_AGE"] = env.number("CONN_MAX_AGE", default=60, least=0, most=_SECONDS)
    # Compiling a query takes longer than any query of a page does.
    _options = _database.setdefault("OPTIONS", {})
    _options["options"] = f"-c jit=off {_options.get('options', '')}".rstrip()

# The web server: processes, threads of each, and the connections that these share. Without a pool each keeps its own.
WEB_CONCURRENCY = env.number("WEB_CONCURRENCY", default=2, most=512)
WEB_THREADS = 4
DATABASE_POOL = env.number("DATABASE_POOL", default=0, least=0, most=1_000)
if DATABASE_POOL and EMBEDDED:
    raise ImproperlyConfigured("DATABASE_POOL is for PostgreSQL: set DATABASE_URL, or take it out.")
if 0 < DATABASE_POOL < 2 * WEB_THREADS:  # a job that is done in a request gives signs of life by another connection
    raise ImproperlyConfigured(
        f"DATABASE_POOL must be 0 or at least {2 * WEB_THREADS}: each of the {WEB_THREADS} threads may need two."
    )


def _secret(name: str, make: Callable[[], str], fits: Callable[[str], bool], rule: str) -> str:
    """Return the secret `name`. Who shares a database must share its secrets, so on PostgreSQL none is invented."""
    value, where = env.text(name), ""
    if not value:
        if not EMBEDDED:
            raise ImproperlyConfigured(f"{name} is not set. On PostgreSQL it must be: see .env.example.")
        path = DATA_DIR / name.lower()
        where = f" (in the file {path})"
        try:
            value = secrets.kept_secret(path, make)
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}: {path} cannot be read or written ({error.strerror}). Give the user of this process the "
                "folder and what is in it, and see that there is room."
            ) from error
        except UnicodeDecodeError:
            raise ImproperlyConfigured(f"{name}{where} is no text. Put the file back from where you keep it.") from None
    if not fits(value):
        raise ImproperlyConfigured(f"{name}{where} {rule}")
    return value


SECRET_KEY = _secret(
    "SECRET_KEY",
    secrets.new_secret_key,
    secrets.is_hard_to_guess,
    "is easy to guess: it must be random, and at least 50 characters long.",
)
ENCRYPTION_KEYS = [
    key.strip()
    for key in _secret(
        "ENCRYPTION_KEYS",
        secrets.new_encryption_key,
        secrets.are_encryption_keys,
        "must be random keys of 32 bytes in url-safe base64, with commas between them.",
    ).split(",")
]

INSTALLED_APPS = [
    "allauth",
    "allauth.account",  # before people, which takes their models out of Django admin
    "allauth.mfa",
    "allauth.usersessions",
    "accessaudience.apps.AccessAudienceConfig",
    "people",
    "jobs",
    "channels",
    "segments",
    "imports",
    "integrations",
    "accessaudience.apps.RoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
]
MIDDLEWARE = [
    "accessaudience.requestid.request_id",
    "accessaudience.headers.permissions_policy",  # with the next two before what answers by itself: files, redirects
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "accessaudience.latency.measured",
    "accessaudience.caching.no_page_is_kept",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "accessaudience.bodies.BodyLimits",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "people.sessions.SessionLimits",
    "people.zones.TimeZones",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accessaudience.errors.RefusalsAreTold",
]
ROOT_URLCONF = "accessaudience.urls"
WSGI_APPLICATION = "accessaudience.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "channels.context.shell",
            ],
        },
    },
]

AUTH_USER_MODEL = "people.Person"
AUTHENTICATION_BACKENDS = [
    "people.backends.PersonBackend",
    "people.backends.RoleBackend",
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "people.adapter.AccountAdapter"
MFA_ADAPTER = "people.mfa.MFAAdapter"
MFA_TOTP_ISSUER = "Access Audience"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # an admin vouches for the address
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody signs up, so there is nothing to offer a stranger
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
# allauth's own would keep a second record of the address, which outlives a change of it.
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"  # noqa: S105
# Wrong passwords: by network address, by account and address; by account; by account and a browser that knows it.
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key", "guessed": "100/h/key", "known_failed": "5/5m/key"}
MFA_RECOVERY_CODES_SHOW_ONCE = True
ACCOUNT_FORMS = {"reset_password": "people.forms.ResetPasswordForm"}
PASSWORD_RESET_TIMEOUT = 60 * 60
INVITATION_DAYS = env.number("INVITATION_DAYS", default=7, most=_DAYS)

# A session ends this long after it was last used, and this long after signing in, whatever the browser keeps.
SESSION_IDLE_HOURS = env.number("SESSION_IDLE_HOURS", default=72, most=24 * _DAYS)
SESSION_DAYS = env.number("SESSION_DAYS", default=14, most=_DAYS)
SESSION_COOKIE_AGE = SESSION_DAYS * 24 * 60 * 60

ACCESS_LOG_DAYS = env.number("ACCESS_LOG_DAYS", default=365, most=_DAYS)

# What processes share, so that tries to sign in are counted once: in the database, or in Redis while that is there.
REDIS_URL = env.redis("REDIS_URL")
_cache = "accessaudience.shared_cache.RedisOrDatabase" if REDIS_URL else "accessaudience.cache_table.CacheTable"
CACHES = {"default": {"BACKEND": _cache, "LOCATION": REDIS_URL or "shared_cache"}}

# Who tells workers of a job: they look into the database by themselves, or Celery sends them there through Redis.
TASKS_BACKEND = env.choice("TASKS_BACKEND", ("database", "celery"), default="database")
if TASKS_BACKEND == "celery" and EMBEDDED:
    raise ImproperlyConfigured("TASKS_BACKEND=celery is for several machines, and needs PostgreSQL: set DATABASE_URL.")
if TASKS_BACKEND == "celery" and not REDIS_URL.startswith(("redis://", "rediss://")):
    raise ImproperlyConfigured("TASKS_BACKEND=celery needs REDIS_URL, like redis://host:6379/0.")

CSRF_FAILURE_VIEW = "accessaudience.errors.csrf_failure"
DEFAULT_EXCEPTION_REPORTER_FILTER = "accessaudience.errors.ReportWithoutSecrets"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Everything comes from here; `data:` is for the check marks that Tabler draws in its style sheet.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    },
}
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en"
TIME_ZONE = env.text("TIME_ZONE", default="UTC")
try:
    ZoneInfo(TIME_ZONE)
except (ZoneInfoNotFoundError, ValueError):
    raise ImproperlyConfigured(f"TIME_ZONE must be a name like Europe/Berlin, not '{TIME_ZONE}'.") from None
USE_I18N = False
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_ROOT = BASE_DIR / "static" / "root"  # what browsers look for at the root: /favicon.ico
UPLOADS_DIR = DATA_DIR / "uploads"
FILE_UPLOAD_TEMP_DIR = DATA_DIR / "incoming"  # beside it, so that to store an upload is to rename it
try:
    FILE_UPLOAD_TEMP_DIR.mkdir(mode=0o700, exist_ok=True)
except OSError as error:
    raise ImproperlyConfigured(f"DATA_DIR: {FILE_UPLOAD_TEMP_DIR} cannot be made ({error.strerror}).") from error
_private = {"location": UPLOADS_DIR, "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
_bucket = bucket_options(env.text("STORAGE_URL"))
STORAGES = {
    "default": {"BACKEND": "accessaudience.objectstore.Bucket", "OPTIONS": _bucket}
    if _bucket
    else {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": _private},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Limits of an upload: RULES.md "File". All are checked before the work is done.
IMPORT_MAX_BYTES = env.number("IMPORT_MAX_BYTES", default=100 * 1024 * 1024, most=_BYTES)
IMPORT_MAX_ROWS = env.number("IMPORT_MAX_ROWS", default=200_000 if EMBEDDED else 1_000_000, most=_MANY)
IMPORT_MAX_COLUMNS = env.number("IMPORT_MAX_COLUMNS", default=500, most=100_000)
IMPORT_MAX_CELL = env.number("IMPORT_MAX_CELL", default=131_072, most=_MANY)
IMPORT_CHECK_IN_REQUEST_BYTES = env.number("IMPORT_CHECK_IN_REQUEST_BYTES", default=256 * 1024, least=0, most=_BYTES)
# What one person may ask for.
UPLOADS_AN_HOUR = env.number("UPLOADS_AN_HOUR", default=60, most=_MANY)
WAITING_JOBS = env.number("WAITING_JOBS", default=20, most=_MANY)
UPLOAD_RETENTION_DAYS = env.number("UPLOAD_RETENTION_DAYS", default=30, most=_DAYS)

# Klaviyo: where its API is (never taken from a form), where its pages are, and the seconds that one of
# its answers and a whole reading may take.
KLAVIYO_API_BASE_URL = env.web("KLAVIYO_API_BASE_URL", default="https://a.klaviyo.com")
KLAVIYO_WEB_URL = env.web("KLAVIYO_WEB_URL", default="https://www.klaviyo.com")
KLAVIYO_TIMEOUT = env.number("KLAVIYO_TIMEOUT", default=30, most=_SECONDS)
KLAVIYO_PATIENCE = env.number("KLAVIYO_PATIENCE", default=600, most=_SECONDS)

# The limit of any other form.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# On: pages are served through a proxy that speaks HTTPS (docs/operations.md). Off: on a machine of one's own.
HTTPS = env.flag("HTTPS", default=False)
_prefix = "__Host-" if HTTPS else ""  # the browser itself keeps such a cookie to this host and to HTTPS
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_prefix}sessionid", f"{_prefix}csrftoken"
KNOWN_COOKIE_NAME = f"{_prefix}known"  # these are ours: people.known, accessaudience.cookies
THEME_COOKIE_NAME, MESSAGES_COOKIE_NAME = f"{_prefix}theme", f"{_prefix}messages"
MESSAGE_STORAGE = "accessaudience.cookies.Messages"
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = env.number("HSTS_SECONDS", default=3600, least=0, most=_MANY)
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
# How many proxies in front add to X-Forwarded-For: tries are counted for each address.
ALLAUTH_TRUSTED_PROXY_COUNT = env.number("TRUSTED_PROXIES", default=int(HTTPS), least=0, most=100)
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]  # asked from inside, past the proxy
# Not ours to promise for other hosts of the domain, nor to have listed in browsers.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# Where links in mails lead: never taken from a request, whose Host anybody can choose.
_host = next((name for name in ALLOWED_HOSTS if not name.startswith((".", "*"))), "localhost")
_address = f"https://{_host}" if HTTPS else f"http://{_host}:{env.text('PORT', '8000')}"
_origins = [origin for origin in CSRF_TRUSTED_ORIGINS if "*" not in origin]
SITE_URL = env.origin("SITE_URL", default=(_origins or [_address])[0])

# Mail is written to the console unless EMAIL_URL names a server.
globals().update(env.mail("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.sender("EMAIL_FROM", default="Access Audience <noreply@localhost>")

LOGGING = logs.configuration(
    env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"),
    as_json=env.flag("LOG_JSON", default=False),
)

# Errors are reported to Sentry, without what they were about: accessaudience.reports.
SENTRY_DSN = env.dsn("SENTRY_DSN")
VERSION = "0.1.0"

# The header in which a proxy names each request; it must set it itself, whatever a visitor sends.
REQUEST_ID_HEADER = env.header("REQUEST_ID_HEADER")

# Who may read /metrics: whoever says this. Without it the page is not there, and nothing is counted.
METRICS_TOKEN = env.text("METRICS_TOKEN")
if METRICS_TOKEN and not secrets.is_token(METRICS_TOKEN):
    raise ImproperlyConfigured(
        "METRICS_TOKEN is easy to guess: it must be random, of letters, digits, - and _, and at least 20 of them."
    )

# How often a minute each person may ask the API, in each web process.
API_REQUESTS_A_MINUTE = env.number("API_REQUESTS_A_MINUTE", default=120, most=_MANY)

# The first Admin, made by `make run`: see the command first_admin.
ADMIN_EMAIL = env.text("ADMIN_EMAIL", default="admin@localhost")
ADMIN_PASSWORD = env.text("ADMIN_PASSWORD")
