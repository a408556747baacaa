"""Paths of signing in and out, of one's own account, and of the page People. Only what is built is routed.

Signing in and out, passwords and codes are django-allauth's views under its URL names.
"""

from django.urls import include, path, re_path

from people import account_views, token_views, views, zone_views

own = [
    path("people/", views.people, name="list"),
    path("people/<int:pk>/role/", views.role, name="role"),
    path("people/<int:pk>/deactivate/", views.deactivate, name="deactivate"),
    path("people/<int:pk>/activate/", views.activate, name="activate"),
    path("people/<int:pk>/invite/", views.send_again, name="send_again"),
    path("people/<int:pk>/two-factor/off/", views.turn_off_two_factor, name="turn_off_two_factor"),
    path("accounts/invitation/", views.join, name="join"),
    path("accounts/", account_views.overview, name="account"),
    path("accounts/sessions/<int:pk>/end/", account_views.end_session, name="end_session"),
    path("accounts/sessions/end-others/", account_views.end_other_sessions, name="end_other_sessions"),
    path("accounts/tokens/", token_views.make, name="make_token"),
    path("accounts/tokens/<int:pk>/revoke/", token_views.revoke, name="revoke_token"),
    path("accounts/time-zone/", zone_views.time_zone, name="time_zone"),
    path("theme/", account_views.theme, name="theme"),
]
urlpatterns = [
    path("accounts/login/", account_views.sign_in, name="account_login"),
    path("accounts/login/code/", account_views.sign_in_code, name="mfa_authenticate"),
    path("accounts/logout/", account_views.sign_out, name="account_logout"),
    path("accounts/confirm/", account_views.confirm, name="account_reauthenticate"),
    path("accounts/confirm/code/", account_views.confirm_code, name="mfa_reauthenticate"),
    path("accounts/password/", account_views.change_password, name="account_change_password"),
    path("accounts/password/reset/", account_views.reset_password, name="account_reset_password"),
    path("accounts/password/reset/sent/", account_views.reset_password_done, name="account_reset_password_done"),
    re_path(
        r"^accounts/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[^/]+)/$",
        account_views.reset_password_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "accounts/password/reset/done/",
        account_views.reset_password_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("accounts/two-factor/on/", account_views.turn_on, name="mfa_activate_totp"),
    path("accounts/two-factor/off/", account_views.turn_off, name="mfa_deactivate_totp"),
    path("accounts/two-factor/codes/", account_views.show_codes, name="mfa_view_recovery_codes"),
    path("accounts/two-factor/codes/new/", account_views.make_codes, name="mfa_generate_recovery_codes"),
    path("", include((own, "people"))),
]
