"""Paths of signing in and out, and of one's own account. Only what is built is routed.

Signing in and out, passwords and codes are django-allauth's views under its URL names.
"""

from django.urls import include, path, re_path

from people import account_views as views

own = [
    path("accounts/", views.overview, name="account"),
    path("accounts/sessions/<int:pk>/end/", views.end_session, name="end_session"),
    path("accounts/sessions/end-others/", views.end_other_sessions, name="end_other_sessions"),
    path("theme/", views.theme, name="theme"),
]
urlpatterns = [
    path("accounts/login/", views.sign_in, name="account_login"),
    path("accounts/login/code/", views.sign_in_code, name="mfa_authenticate"),
    path("accounts/logout/", views.sign_out, name="account_logout"),
    path("accounts/confirm/", views.confirm, name="account_reauthenticate"),
    path("accounts/confirm/code/", views.confirm_code, name="mfa_reauthenticate"),
    path("accounts/password/", views.change_password, name="account_change_password"),
    path("accounts/password/reset/", views.reset_password, name="account_reset_password"),
    path("accounts/password/reset/sent/", views.reset_password_done, name="account_reset_password_done"),
    re_path(
        r"^accounts/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[^/]+)/$",
        views.reset_password_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "accounts/password/reset/done/", views.reset_password_from_key_done, name="account_reset_password_from_key_done"
    ),
    path("accounts/two-factor/on/", views.turn_on, name="mfa_activate_totp"),
    path("accounts/two-factor/off/", views.turn_off, name="mfa_deactivate_totp"),
    path("accounts/two-factor/codes/", views.show_codes, name="mfa_view_recovery_codes"),
    path("accounts/two-factor/codes/new/", views.make_codes, name="mfa_generate_recovery_codes"),
    path("", include((own, "people"))),
]
