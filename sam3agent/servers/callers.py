"""Who calls: the client behind a request, the reply profile that fits it, and whether it is still there."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sam3agent.servers.reply_profiles import ClientTraits, ReplyProfile, choose_profile

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

CLIENT_COOKIE = "sam3agent-client"
"""Tells clients apart that speak a protocol without sessions."""

GONE = "sam3agent.gone"
"""Key in the scope of an HTTP request: an event that is set when the client has closed the connection."""

SESSION_HEADER = "mcp-session-id"


@dataclass(frozen=True, slots=True)
class Caller:
    """The client of one request. key: the same for all its requests, different for other clients.

    gone: set when it has closed the connection; None if that cannot be known.
    """

    key: str
    profile: ReplyProfile
    gone: asyncio.Event | None = None


def caller_of(ctx: "Context[Any, Any]", host_profile: str | None = None) -> Caller:
    """The client of a request. host_profile: the name of the profile to use, in place of what the table says."""
    request = ctx.request_context.request
    scope = getattr(request, "scope", None) or {}
    traits = client_traits(ctx.session)
    return Caller(_key(request, traits), choose_profile(traits, host_profile), scope.get(GONE))


def client_key(ctx: Any) -> str:
    """The key of the client of a request that the SDK hands to extensions; as `Caller.key`."""
    return _key(ctx.request, client_traits(ctx.session))


def client_traits(session: Any) -> ClientTraits:
    """What the client of a session says about itself."""
    params = session.client_params
    info = params.client_info if params else None
    protocol = session.protocol_version or ""
    return ClientTraits(info.name, info.version, protocol) if info else ClientTraits(protocol=protocol)


def _key(request: Any, traits: ClientTraits) -> str:
    """The session where there is one; else the cookie; else what is known of a client that keeps no cookies."""
    headers = getattr(request, "headers", None)
    if headers is None:
        return "local"
    if session := headers.get(SESSION_HEADER):
        return f"session {session}"
    if cookie := request.cookies.get(CLIENT_COOKIE):
        return f"cookie {cookie[:64]}"
    return f"{traits.name} at {request.client.host if request.client else 'unknown'}"
