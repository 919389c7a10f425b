"""The tokens that a request brings: secrets, so a header takes them as well as the address does."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.security import APIKeyQuery, HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from madvision_assets.intake.problems import FieldError, ProblemError

MAX_TOKENS = 100
TOKENS_HEADER = "MadVision-Tokens"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="madvision"'}

_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="The token of the submission.")
_query = APIKeyQuery(name="token", auto_error=False, scheme_name="token in the address")


def given_token(
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    in_address: Annotated[str | None, Depends(_query)],
) -> str:
    """The one token of a request.

    Raises:
        ProblemError: ``missing_token``.
    """
    token = bearer.credentials if bearer else in_address
    if not token:
        detail = "Give the token as 'Authorization: Bearer TOKEN', or as ?token=TOKEN."
        raise ProblemError("missing_token", detail, headers=_CHALLENGE)
    return token


Token = Annotated[str, Depends(given_token)]


def given_tokens(
    request: Request,
    token: Annotated[list[str] | None, Query(description=f"Repeated for each token; at most {MAX_TOKENS}.")] = None,
    listed: Annotated[
        str | None,
        Header(
            alias=TOKENS_HEADER,
            description="Tokens with commas between them, which then stand in no address. `Authorization: Bearer` too.",
        ),
    ] = None,
) -> Sequence[str]:
    """The tokens of a request, each once, in the order in which they were given.

    Raises:
        ProblemError: ``missing_token``, or ``invalid_request`` where there are too many.
    """
    scheme, bearer = get_authorization_scheme_param(request.headers.get("Authorization"))
    in_headers = (bearer if scheme.lower() == "bearer" else "", listed or "")
    told = [*(each.strip() for header in in_headers for each in header.split(",")), *(token or ())]
    tokens = list(dict.fromkeys(filter(None, told)))
    if not tokens:
        detail = f"Give the tokens as '{TOKENS_HEADER}: TOKEN, TOKEN', or as ?token=TOKEN&token=TOKEN."
        raise ProblemError("missing_token", detail, headers=_CHALLENGE)
    if len(tokens) > MAX_TOKENS:
        detail = f"At most {MAX_TOKENS} tokens are taken at once; ask for the others after that."
        raise ProblemError("invalid_request", detail, errors=[FieldError(detail=detail, parameter="token")])
    return tokens


Tokens = Annotated[Sequence[str], Depends(given_tokens)]
