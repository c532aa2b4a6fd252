"""How a command or a queue is offered over HTTP: a declaration, which a gateway serves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from purista_celery.contracts import choices
from purista_celery.errors import ContractError

HttpMethod = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
#: PURISTA's ``x-purista-endpoint-security``.
EndpointSecurity = Literal[
    "public", "protected-with-security-scheme", "protected-application-middleware"
]
#: PURISTA's ``x-purista-runtime-mode``, as far as we have it.
HttpMode = Literal["sync", "async-job"]

_PATH = re.compile(r"(/([A-Za-z0-9_\-.~]+|\{[A-Za-z_][A-Za-z0-9_]*\}))+")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Http:
    """One endpoint.

    ``sync`` answers with the output; ``async-job`` with 202 and where to follow the job, which is
    what a queue always does. A ``{placeholder}`` of the path is a field of the parameter; what else
    the parameter has comes as query, and the payload as the body.
    """

    path: str
    method: HttpMethod = "POST"
    mode: HttpMode = "sync"
    security: EndpointSecurity = "protected-with-security-scheme"
    #: The job gets the request's tenant and principal, as the gateway's authentication knows them.
    tenant_aware: bool = False
    principal_aware: bool = False
    summary: str = ""

    def __post_init__(self) -> None:
        where = f"Http {self.method} {self.path!r}"
        if not _PATH.fullmatch(self.path):
            raise ContractError(
                f"{where}: expected segments or {{placeholders}}, each after a slash, such as "
                f"'/invoices/{{invoice_id}}'."
            )
        if len(self.placeholders) != len(set(self.placeholders)):
            raise ContractError(f"{where}: a placeholder is there twice.")
        choices.one_of(where, "method", self.method, HttpMethod)
        choices.one_of(where, "mode", self.mode, HttpMode)
        choices.one_of(where, "security", self.security, EndpointSecurity)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names in the path, in order."""
        return tuple(_PLACEHOLDER.findall(self.path))
