"""One stack: settings in, a platform to run on, the components connected, and the outputs that people need."""

import pulumi
from pulumi import ResourceOptions

from components.credentials import Credentials
from components.gateway.consumers import read_issuers, secret_keys, signing_keys
from components.gateway.entities import CANARY
from components.gateway.kong import KongGateway, KongGatewayArgs
from components.gateway.node import ADMIN_TOKEN, PROXY, PROXY_TLS, STATUS
from components.gateway.references import REDIS_PASSWORD, SERVICE_TOKEN, jwt_secret
from components.monitoring.exporters import certificate_exporter, postgres_exporter, valkey_exporter
from components.monitoring.observability import ObservabilityStack, ObservabilityStackArgs
from components.monitoring.promises import Promises
from components.qdrant import haproxy
from components.qdrant.cluster import REST, QdrantCluster, QdrantClusterArgs, QdrantKeys
from components.services.rag import INGEST
from components.services.references import platform_references, secret_names
from components.services.routing import gateway_of
from components.services.services import Services, ServicesArgs
from platforms.connect import connect
from platforms.stack_file import PROJECT
from providers.collection import ReplicatedCollection
from settings import JWT_SECRETS, SERVICE_SECRETS, Settings

settings = Settings.from_stack()
platform = connect(settings.stack, settings.kubernetes, settings.image.node_exporter)
credentials = Credentials(
    "credentials", config=pulumi.Config(PROJECT), protect=settings.stack.protect_data, given=platform.given_secrets()
)
api_key = credentials.secret("qdrantApiKey")
read_only_key = credentials.secret("qdrantReadOnlyApiKey")
service_token = credentials.secret("gatewayServiceToken")
consumers = settings.gateway.consumers
own_jwt_secrets = {key: credentials.member(JWT_SECRETS, key) for key in secret_keys(consumers)}
jwt_secrets = {key: credentials.secret(f"gatewayJwt-{key}", rotates=True) for key in settings.gateway.jwt_keys}
postgres_password = credentials.secret("postgresPassword")
monitor_password = credentials.secret("postgresMonitorPassword") if settings.gateway.runs_postgres else ""
grafana_password = credentials.secret("grafanaPassword")
balancer_password = credentials.secret("haproxyPassword")
counter_secrets = {}
if settings.gateway.counter_address:
    counter_secrets[REDIS_PASSWORD] = credentials.secret("gatewayRedisPassword")
admin_secrets = {}
if settings.gateway.backend == "database":
    admin_secrets[ADMIN_TOKEN] = credentials.secret("gatewayAdminToken")

qdrant = QdrantCluster(
    "qdrant",
    QdrantClusterArgs(
        platform=platform,
        settings=settings.qdrant,
        node_image=settings.image.qdrant,
        balancer_image=settings.image.haproxy,
        keys=QdrantKeys(api_key=api_key, read_only_api_key=read_only_key, balancer_password=balancer_password),
    ),
)
entries = settings.services
known = platform_references(
    balancer=qdrant.balancer,
    api_key=api_key,
    read_only_api_key=read_only_key,
    collection=settings.collection.alias,
    collections={name: entry.alias for name, entry in settings.stack.collections.items()},
    service_token=service_token,
    traces_url=settings.observability.traces_url,
    secrets={name: credentials.member(SERVICE_SECRETS, name) for name in secret_names(entries)},
)
services_args = ServicesArgs(platform=platform, entries=entries, known=known)
ingest_url = services_args.public_url(INGEST)
# A destroyed stack keeps its volumes, and with them the collections: the next one adopts them.
kept_with_the_nodes = ResourceOptions(
    parent=qdrant,
    depends_on=qdrant.ready,
    retain_on_delete=settings.stack.protect_data,
    deleted_with=qdrant.nodes.data[0],
)
collection = ReplicatedCollection(
    "collection",
    settings.collection,
    node_urls=qdrant.node_urls,
    api_key=api_key,
    ingest_url=ingest_url,
    ingest_token=service_token,
    embedder=settings.rag.embedder,
    deletion_protected=settings.stack.protect_data,
    opts=kept_with_the_nodes,
)
others = [
    ReplicatedCollection(
        f"collections.{name}",
        entry,
        node_urls=qdrant.node_urls,
        api_key=api_key,
        deletion_protected=settings.stack.protect_data,
        opts=kept_with_the_nodes,
    )
    for name, entry in settings.stack.collections.items()
]
declared = [settings.collection, *settings.stack.collections.values()]
services = Services("services", services_args, ResourceOptions(depends_on=[collection, *others]))
service_jobs = tuple(services.scrape_jobs())
gateway = KongGateway(
    "gateway",
    KongGatewayArgs(
        platform=platform,
        settings=settings.gateway,
        kong_image=settings.image.kong,
        postgres_image=settings.image.postgres,
        valkey_image=settings.image.valkey,
        postgres_password=postgres_password,
        monitor_password=monitor_password,
        gateway=gateway_of(
            settings.gateway,
            entries,
            settings.observability.traces_url,
            read_issuers(consumers, settings.gateway.jwt_keys),
        ),
        traces_url=settings.observability.traces_url,
        backends=services.backends,
        backends_ready=services.ready,
        secrets={
            SERVICE_TOKEN: service_token,
            CANARY: credentials.secret("gatewayCanary"),
            **counter_secrets,
            **admin_secrets,
            **{jwt_secret(key): secret for key, secret in jwt_secrets.items()},
            **{jwt_secret(key, given=True): secret for key, secret in own_jwt_secrets.items()},
        },
    ),
)
observability = ObservabilityStack(
    "observability",
    ObservabilityStackArgs(
        platform=platform,
        settings=settings.observability,
        prometheus_image=settings.image.prometheus,
        grafana_image=settings.image.grafana,
        alertmanager_image=settings.image.alertmanager,
        exporters=(
            *postgres_exporter(settings.image.postgres_exporter, gateway.database, monitor_password),
            *certificate_exporter(settings.image.blackbox_exporter, platform.edge(gateway.kong, PROXY_TLS)),
            *valkey_exporter(settings.image.valkey_exporter, gateway.counter, counter_secrets.get(REDIS_PASSWORD, "")),
        ),
        scrape_jobs=(
            qdrant.nodes.scrape_job(
                "qdrant-cluster", REST, bearer=read_only_key, bearer_file="qdrant-read-only-key", labels_nodes=True
            ),
            qdrant.balancer.scrape_job("haproxy", haproxy.STATISTICS),
            gateway.kong.scrape_job("kong", STATUS),
            *service_jobs,
        ),
        disks=(qdrant.nodes, *([gateway.database] if gateway.database else [])),
        promises=Promises(
            qdrant_nodes=settings.qdrant.nodes,
            qdrant_memory_mib=settings.qdrant.memory_mib,
            replication_factor=min(each.replication_factor for each in declared),
            scrape_seconds=settings.observability.scrape_seconds,
            service_jobs=tuple(job.name for job in service_jobs),
        ),
        grafana_password=grafana_password,
    ),
)

signing_key = settings.gateway.jwt_keys[0]
for name, value in {
    "gatewayUrl": gateway.kong.world_url(PROXY),
    "gatewayAdminUrl": gateway.admin_url,
    "gatewayAdminToken": admin_secrets.get(ADMIN_TOKEN, ""),
    "gatewayJwtKey": signing_key,
    "gatewayJwtSecret": jwt_secrets[signing_key],
    "gatewaySigningKeys": signing_keys(consumers, jwt_secrets, own_jwt_secrets),
    "gatewayServiceToken": service_token,
    "qdrantUrl": qdrant.balancer.public_url(haproxy.HTTP),
    "qdrantNodeUrls": qdrant.node_urls,
    "qdrantApiKey": api_key,
    "qdrantReadOnlyApiKey": read_only_key,
    "balancerUrl": qdrant.balancer.public_url(haproxy.STATISTICS),
    "balancerPassword": balancer_password,
    "collection": settings.collection.alias,
    "physicalCollection": collection.physical_name,
    "collections": {each.alias: made.physical_name for each, made in zip(declared, [collection, *others], strict=True)},
    "ingestUrl": ingest_url,
    "routes": {name: entry.routes[0].paths[0] for name, entry in entries.items() if entry.routes},
    "prometheusUrl": observability.prometheus_url,
    "grafanaUrl": observability.grafana_url,
    "grafanaPassword": grafana_password,
}.items():
    pulumi.export(name, value)
