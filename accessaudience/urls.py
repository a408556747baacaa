"""Every path of the application, by app."""

from django.contrib import admin
from django.urls import include, path

from accessaudience import health, metrics
from segments import api

handler403 = "accessaudience.errors.forbidden"
handler404 = "accessaudience.errors.not_found"
handler500 = "accessaudience.errors.server_error"

urlpatterns = [
    path("", include("overview.urls")),
    path("", include("segments.urls")),
    path("data/", include("imports.urls")),
    path("", include("integrations.urls")),
    path("", include("people.urls")),
    path("", include("jobs.urls")),
    path("api/v1/", api.urls),
    path("admin/", admin.site.urls),
    path("health/live", health.live, name="health_live"),
    path("health/ready", health.ready, name="health_ready"),
    path("metrics", metrics.metrics, name="metrics"),
]
