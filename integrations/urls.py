"""Paths of integrations: accounts and settings, and the syncs of a channel."""

from django.urls import include, path

from integrations import sync_views, views

app_name = "integrations"

of_channel = [
    path("sync/", sync_views.begin, name="begin"),
    path("sync/status/", sync_views.status, name="status"),
    path("sync/preview/", sync_views.preview, name="preview"),
    path("sync/history/", sync_views.history, name="history"),
    path("sync/<uuid:pk>/", sync_views.detail, name="sync"),
    path("sync/<uuid:pk>/stop/", sync_views.stop, name="stop"),
    path("sync/<uuid:pk>/hide/", sync_views.hide, name="hide"),
    path("sync/<uuid:pk>/answer/", sync_views.answer, name="answer"),
    path("sync/<uuid:pk>/link/<int:line>/", sync_views.link, name="link"),
    path("<int:pk>/klaviyo/", sync_views.take_value, name="take_value"),
]

urlpatterns = [
    path("channels/<slug:slug>/segments/", include(of_channel)),
    path("integrations/", views.account_list, name="list"),
    path("integrations/klaviyo/", views.connect, name="connect"),
    path("integrations/klaviyo/test/", views.test_key, name="test_key"),
    path("integrations/klaviyo/channels/<slug:slug>/", views.channel, name="channel"),
    path("integrations/klaviyo/channels/<slug:slug>/matches/", views.channel_matches, name="channel_matches"),
    path("integrations/klaviyo/<int:pk>/test/", views.test, name="test"),
    path("integrations/klaviyo/<int:pk>/key/", views.replace_key, name="key"),
    path("integrations/klaviyo/<int:pk>/disconnect/", views.disconnect, name="disconnect"),
]
