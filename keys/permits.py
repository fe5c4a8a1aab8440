"""What a principal may do. Each function returns nothing, or raises the 403 that says what is missing."""

from keys import refusals
from keys.principal import Principal
from keys.refusals import refusal
from keys.scopes import allows


def require_secret(principal: Principal) -> None:
    """Only secret keys read and manage what belongs to a project."""
    if principal.kind != "sk":
        raise refusal(refusals.WRONG_KIND)


def require_scope(principal: Principal, scope: str | None) -> None:
    """`scope` None: nothing less than a key without limits will do."""
    if scope is None and principal.scopes:
        raise refusal(refusals.SCOPE, "Only a key that is not limited to scopes can do this.")
    if scope is not None and not allows(principal.scopes, scope):
        raise refusal(refusals.SCOPE, f"This needs the scope {scope}, which the key does not have.")


def require_origin(principal: Principal, origin: str | None) -> None:
    """The allow-list is about browsers, which always say their origin; what sends none is not held up by it."""
    if principal.origins and origin is not None and origin.lower() not in principal.origins:
        raise refusal(refusals.ORIGIN)
