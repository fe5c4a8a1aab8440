"""The one problem type. A wire renders it its own way; the code never changes.

Rendering for our own API follows RFC 9457 (problem details), media type `application/problem+json`.
"""

from http import HTTPStatus

import msgspec

DOCUMENTATION = "/docs/errors#"


class Problem(Exception):
    """Why a request was refused.

    status: HTTP status; code: stable `area.reason`, one heading in docs/reference/errors.md each;
    detail: what was wrong, where, and what to do (never a secret); retry_after: whole seconds;
    headers: more header lines of the answer; extra: more members of the problem document.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        retry_after: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        extra: dict[str, object] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after
        self.headers = headers
        self.extra = extra or {}

    def document(self) -> dict[str, object]:
        """The members of the RFC 9457 document."""
        return {
            "type": DOCUMENTATION + self.code,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.extra,
        }

    def header_lines(self) -> tuple[tuple[str, str], ...]:
        """Headers this problem asks for: Retry-After, WWW-Authenticate, Allow, ..."""
        retry = () if self.retry_after is None else (("retry-after", str(self.retry_after)),)
        challenge = (("www-authenticate", "Bearer"),) if self.status == HTTPStatus.UNAUTHORIZED else ()
        return (*retry, *challenge, *self.headers)

    def rendered(self) -> tuple[bytes, str]:
        """Body and media type."""
        return msgspec.json.encode(self.document()), "application/problem+json"


def no_such_thing() -> Problem:
    """The same answer for what does not exist and for what belongs to somebody else."""
    return Problem(404, "not_found", "There is nothing at this address, or it is not yours to see.")
