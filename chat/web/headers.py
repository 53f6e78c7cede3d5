"""Headers that every answer has."""

from __future__ import annotations

POLICY = {
    "default-src": "'self'",  # of frames too
    "connect-src": "'self' data:",  # data: is what the page fetches from itself, e.g. the next field
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
USUAL_POLICY = ";".join(f"{name} {value}" for name, value in POLICY.items())
FRAMED_POLICY = USUAL_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
HSTS = "max-age=15552000"  # 180 days; of this host only, as others may be somebody else's
HEADERS = {
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(),microphone=(),geolocation=(),payment=(),usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FOREVER = "public,max-age=31536000,immutable"
