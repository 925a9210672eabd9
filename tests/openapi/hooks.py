"""What Schemathesis must not send as it made it up."""

import os
from urllib.parse import urlsplit

import schemathesis

MINUTES_10_MS = 600_000
ORIGIN = os.environ["CLAVIGER_ORIGIN"]


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if not isinstance(body, dict):
        return
    if case.operation.path.startswith("/v1/apps/{app_id}/webhooks"):
        # Messages must not go to whoever owns a made-up name; nobody listens there.
        url = body.get("url")
        if isinstance(url, str) and is_accepted(url):
            body["url"] = "https://localhost:9/"
    elif case.operation.path == "/v1/apps/{app_id}":
        # The app has to go on working, or most other calls would only be refused.
        for member, value in (
            ("auth_origin", ORIGIN),
            ("rp_id", urlsplit(ORIGIN).hostname),
            ("public_signup", True),
        ):
            if type(body.get(member)) is type(value):
                body[member] = value
        settings = body.get("settings")
        if isinstance(settings, dict):
            for member, value in settings.items():
                if member.endswith("_lifetime_ms") and value in range(1_000, MINUTES_10_MS):
                    settings[member] = MINUTES_10_MS


def is_accepted(url):
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme.lower() in ("http", "https") and len(url) <= 2048
