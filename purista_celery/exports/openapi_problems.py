"""How errors look over HTTP: RFC 9457's problem details, or a text for people."""

from __future__ import annotations

from typing import Any

from purista_celery.exports.openapi_bodies import Bodies

#: What our errors become.
TITLES = {
    "400": "Bad Request",
    "401": "Unauthorized",
    "404": "Not Found",
    "413": "Payload Too Large",
    "500": "Internal Server Error",
    "503": "Service Unavailable",
    "504": "Gateway Timeout",
}

_DESCRIPTIONS = {
    "400": "The request does not fit its contract; nothing was done.",
    "401": "The caller is not known; nothing was done.",
    "404": "No such job is known: never accepted, or kept no longer.",
    "413": "The body is larger than is allowed; nothing was done.",
    "500": "The command's handler failed; it is not tried again.",
    "503": "The ledger could not be reached; nothing was accepted.",
    "504": "Nobody answered in time; what had not begun will not run any more.",
}

_CODES = {
    "400": "PURISTA_PAYLOAD_INVALID",
    "404": "PURISTA_JOB_NOT_FOUND",
    "413": "PURISTA_PAYLOAD_TOO_LARGE",
    "500": "PURISTA_COMMAND_FAILED",
    "503": "PURISTA_LEDGER_UNAVAILABLE",
    "504": "PURISTA_COMMAND_TIMEOUT",
}


def references(*statuses: int) -> dict[str, str]:
    """Return the error responses of an operation, as names of components."""
    return {str(status): _name(str(status)) for status in statuses}


def response(status: str, bodies: Bodies) -> tuple[str, dict[str, Any]]:
    """Return the name and the component of an error response."""
    title, description = TITLES[status], _DESCRIPTIONS[status]
    problem = {"type": "about:blank", "title": title, "status": int(status), "detail": description}
    if status in _CODES:
        problem["code"] = _CODES[status]
    content = bodies.content("Problem", "application/problem+json")
    content["application/problem+json"]["example"] = problem
    content["text/markdown"] = {
        "schema": {"type": "string"},
        "example": f"# {title}\n\n{description}\n",
    }
    return _name(status), {"description": description, "content": content}


def _name(status: str) -> str:
    return TITLES[status].replace(" ", "")
