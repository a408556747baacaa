"""Which powers of a browser our pages may use: none.

Goes in: any answer. Comes out: the same, with a Permissions-Policy. Must not know: any app of the project.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

UNUSED = (
    "accelerometer",
    "autoplay",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "sync-xhr",
    "usb",
    "xr-spatial-tracking",
)  # the clipboard alone is used, to copy
POLICY = ", ".join(f"{name}=()" for name in UNUSED)

Answer = Callable[[HttpRequest], HttpResponseBase]


def permissions_policy(get_response: Answer) -> Answer:
    """Middleware: deny our pages, and whatever they might be made to hold, what they do not use."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response["Permissions-Policy"] = POLICY
        return response

    return middleware
