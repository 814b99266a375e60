"""The headers that every answer carries: what a browser may load, embed, keep and tell others.

No style or script within a page, nothing from elsewhere. A document that needs styles of its own, such as a dossier that is
shown as it was frozen, may bring a content policy instead of ours if that is a sandbox that runs no script.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

STATIC = "/static/"
CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def added(send: Send, path: str) -> Send:
    """A `send` that adds them to the answer, in place of those that the application set."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            found = MutableHeaders(scope=message)
            own = found.get("content-security-policy")
            for name, value in ALWAYS.items():
                found[name] = value
            found["Content-Security-Policy"] = SANDBOX if own == SANDBOX else CONTENT
            if not path.startswith(STATIC) or message["status"] >= 400:
                found["Cache-Control"] = "no-store"
        await send(message)

    return sending
