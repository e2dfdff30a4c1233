"""A limit before all plugins, for those whom the rate limit never sees: it runs after jwt, and a flood has no token."""

from components.gateway.settings import GatewaySettings


def flood_env(settings: GatewaySettings) -> dict[str, str]:
    """Environment of Kong: nginx counts the calls of each client address, and Kong words the refusal as JSON.

    Kong's template writes these beside its own directives of the same name; `error_page` adds up, and does not touch
    the 429 of the rate-limiting plugin, which has a body of its own.
    """
    return {
        "KONG_NGINX_HTTP_LIMIT_REQ_ZONE": f"$binary_remote_addr zone=flood:10m rate={settings.flood_per_second}r/s",
        "KONG_NGINX_PROXY_LIMIT_REQ": f"zone=flood burst={settings.flood_burst} nodelay",
        "KONG_NGINX_PROXY_LIMIT_REQ_STATUS": "429",
        "KONG_NGINX_PROXY_ERROR_PAGE": "429 /kong_error_handler",
        "KONG_ERROR_DEFAULT_TYPE": "application/json",
    } | client_address_env(settings)


def client_address_env(settings: GatewaySettings) -> dict[str, str]:
    """Environment of Kong: which address is the client's, when one of our own proxies stands in between."""
    if not settings.trusted_proxies:
        return {}
    return {
        "KONG_TRUSTED_IPS": ",".join(settings.trusted_proxies),
        "KONG_REAL_IP_HEADER": "X-Forwarded-For",
        "KONG_REAL_IP_RECURSIVE": "on",
    }
