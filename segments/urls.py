"""Paths of the Segments tab, and of undoing a change."""

from django.urls import URLPattern

app_name = "segments"
urlpatterns: list[URLPattern] = []
