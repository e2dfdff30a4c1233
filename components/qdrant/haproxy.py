"""HAProxy's configuration: the balancer in front of the Qdrant nodes; pure."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

HTTP, GRPC, STATISTICS = 6333, 6334, 8404
SERVER_PREFIX = "qdrant-"
OPERATOR = "operator"
RETRIES = 3

# Only these may be asked twice whatever happened: they read. They also get the short time-out, unless the client names
# one of its own. A count, a scroll or a facet reads as much as there is: it has the long one, and is no query here.
QUERIES = """
    search search/batch search/groups
    query query/batch query/groups
    recommend recommend/batch recommend/groups discover discover/batch
""".split()  # noqa: SIM905  reads better than a column of quotes
TEMPLATE = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True).from_string(  # noqa: S701  not HTML
    Path(__file__).with_name("haproxy.cfg.j2").read_text()
)


def haproxy_config(hosts: Sequence[str], *, password: str, query_timeout_ms: int) -> str:
    """The configuration file for the Qdrant nodes of these hosts, by their full names: HAProxy knows no search list.

    A dead or frozen node costs a reader nothing but a retry on another node, and the time-out of a query.
    """
    return TEMPLATE.render(
        hosts=hosts,
        credentials=quoted(f"{OPERATOR}:{password}"),
        query_timeout_ms=query_timeout_ms,
        http=HTTP,
        grpc=GRPC,
        statistics=STATISTICS,
        prefix=SERVER_PREFIX,
        queries=QUERIES,
        retries=RETRIES,
    )


def quoted(text: str) -> str:
    """The text as one word of HAProxy's language: nothing is special between single quotes but their end."""
    return "'" + text.replace("'", r"'\''") + "'"
