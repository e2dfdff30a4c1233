"""Kong's entities, field by field: what each may hold, what must be unique, and what belongs to what."""

from dataclasses import dataclass
from functools import cached_property

from sandbox.kong import schemas as s
from sandbox.kong.schemas import Field, Fields

PROTOCOLS = ("grpc", "grpcs", "http", "https")
ALGORITHMS = (*(family + bits for family in ("HS", "RS", "ES", "PS") for bits in ("256", "384", "512")), "EdDSA")
NAME_RULE = "invalid value '{}': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
NAME = Field("string", check=s.matching(r"^[\w.~-]+$", NAME_RULE))
HOST_NAME = s.matching(r"^[\w.-]*[A-Za-z_-][\w.-]*$", "Invalid name ('{}'); must be a valid hostname")
ROUTE_PATH = s.matching("^~?/", "should start with: / (fixed path) or ~/ (regex path)")
HASHES = ("none", "consumer", "ip", "header", "cookie", "path", "query_arg", "uri_capture")
BALANCING = ("consistent-hashing", "least-connections", "round-robin", "latency")
PROTOCOL, HASH = Field("string", one_of=PROTOCOLS), Field("string", "none", one_of=HASHES)
TIMEOUT, COUNT = Field("integer", 60000, between=(1, 2**31 - 2)), Field("integer", 0, between=(0, 255))
FOREIGN, OWNER = Field("foreign"), Field("foreign", required=True)


@dataclass(frozen=True)
class Kind:
    """One kind of entity; its foreign field `x` names one of kind `xs`."""

    fields: Fields
    key: str = "name"  # addresses an entity besides its id
    unique: tuple[tuple[str, ...], ...] = (("name",),)
    cascades: bool = True  # goes with what it belongs to; what does not, keeps it from going

    @cached_property
    def schema(self) -> Fields:
        return {"id": s.STRING, "created_at": s.NUMBER, "tags": s.listed(of="set")} | self.fields


def _statuses(*default: int) -> Field:
    return Field("array", list(default), elements=Field("integer", between=(100, 999)))


# fmt: off
CHECK = {"type": Field("string", "http", one_of=("tcp", "http", "https", "grpc", "grpcs"))}
PROBE = {
    "timeout": Field("number", 1), "concurrency": Field("integer", 10, between=(1, 2**31)),
    "http_path": Field("string", "/", check=s.PATH.check), "https_sni": s.HOST, "https_verify_certificate": s.ON,
    "headers": Field("map", elements=s.listed()),
}
INTERVAL = {"interval": Field("number", 0, between=(0, 65535))}
FAILURES = {"tcp_failures": COUNT, "timeouts": COUNT, "http_failures": COUNT}
CHECKS = {
    "active": Field("record", fields=CHECK | PROBE | {
        "healthy": Field("record", fields=INTERVAL | {"http_statuses": _statuses(200, 302), "successes": COUNT}),
        "unhealthy": Field("record", fields=INTERVAL | FAILURES | {
            "http_statuses": _statuses(429, 404, 500, 501, 502, 503, 504, 505)})}),
    "passive": Field("record", fields=CHECK | {
        "healthy": Field("record", fields={
            "http_statuses": _statuses(*range(200, 209), 226, *range(300, 309)), "successes": COUNT}),
        "unhealthy": Field("record", fields=FAILURES | {"http_statuses": _statuses(429, 500, 503)})}),
    "threshold": Field("number", 0, between=(0, 100)),
}
KINDS = {
    "services": Kind({
        "name": NAME, "retries": Field("integer", 5, between=(0, 32767)), "updated_at": s.NUMBER, "enabled": s.ON,
        "protocol": Field("string", "http", True, PROTOCOLS), "port": Field("integer", 80, True, between=s.PORT),
        "host": Field("string", required=True, check=s.HOST.check), "path": s.PATH, "connect_timeout": TIMEOUT,
        "write_timeout": TIMEOUT, "read_timeout": TIMEOUT, "client_certificate": FOREIGN, "tls_verify": s.BOOLEAN,
        "tls_verify_depth": Field("integer"), "ca_certificates": s.listed(),
    }),
    "routes": Kind({
        "name": NAME, "protocols": Field("set", ["http", "https"], True, elements=PROTOCOL), "updated_at": s.NUMBER,
        "https_redirect_status_code": Field("integer", 426, True, (426, 301, 302, 307, 308)), "strip_path": s.ON,
        "preserve_host": s.OFF, "request_buffering": s.ON, "response_buffering": s.ON, "service": FOREIGN,
        "hosts": s.listed(), "methods": s.listed(check=s.UPPER_CASE, of="set"), "paths": s.listed(check=ROUTE_PATH),
        "snis": s.listed(of="set"), "sources": Field("set"), "destinations": Field("set"),
        "headers": Field("map", elements=s.listed()), "regex_priority": Field("integer", 0),
        "path_handling": Field("string", "v0", one_of=("v0", "v1")),
    }, cascades=False),
    "plugins": Kind({
        "name": Field("string", required=True), "instance_name": NAME, "service": FOREIGN, "route": FOREIGN,
        "consumer": FOREIGN, "protocols": Field("set", list(PROTOCOLS), True, elements=PROTOCOL), "enabled": s.ON,
        "updated_at": s.NUMBER,
    }, "instance_name", (("instance_name",), ("consumer", "name", "route", "service"))),
    "upstreams": Kind({
        "name": Field("string", required=True, check=HOST_NAME), "updated_at": s.NUMBER, "use_srv_name": s.FLAG,
        "algorithm": Field("string", "round-robin", one_of=BALANCING), "hash_on": HASH, "hash_fallback": HASH,
        "hash_on_header": s.HEADER, "hash_fallback_header": s.HEADER, "hash_on_cookie": s.STRING,
        "hash_on_cookie_path": Field("string", "/", check=s.PATH.check), "hash_on_query_arg": s.STRING,
        "hash_fallback_query_arg": s.STRING, "hash_on_uri_capture": s.STRING, "hash_fallback_uri_capture": s.STRING,
        "slots": Field("integer", 10000, between=(10, 65536)), "healthchecks": Field("record", fields=CHECKS),
        "host_header": s.STRING, "client_certificate": FOREIGN,
    }),
    "targets": Kind({
        "upstream": OWNER, "target": Field("string", required=True), "updated_at": s.NUMBER,
        "weight": Field("integer", 100, between=s.PORT),
    }, "target", (("target", "upstream"),)),
    "consumers": Kind({
        "username": s.STRING, "custom_id": s.STRING, "updated_at": s.NUMBER,
    }, "username", (("username",), ("custom_id",))),
    "acls": Kind({"consumer": OWNER, "group": Field("string", required=True)}, "group", (("consumer", "group"),)),
    "jwt_secrets": Kind({
        "consumer": OWNER, "key": s.STRING, "secret": s.STRING, "rsa_public_key": s.STRING,
        "algorithm": Field("string", "HS256", one_of=ALGORITHMS),
    }, "key", (("key",),)),
}
# fmt: on
