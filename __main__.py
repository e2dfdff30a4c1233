"""One stack: settings in, a platform to run on, the components wired together, and what people need out."""

import pulumi
from pulumi import ResourceOptions

from components.credentials import Credentials
from components.gateway.entities import CANARY
from components.gateway.kong import PROXY, STATUS, KongGateway, KongGatewayArgs
from components.gateway.rag import REDIS_PASSWORD, SERVICE_TOKEN, jwt_secret, rag_gateway
from components.monitoring.exporters import PostgresSource, ValkeySource
from components.monitoring.observability import ObservabilityStack, ObservabilityStackArgs
from components.monitoring.prometheus import ScrapeTargets
from components.monitoring.promises import Promises
from components.qdrant import haproxy
from components.qdrant.cluster import REST, QdrantCluster, QdrantClusterArgs, QdrantKeys
from components.services.rag import API, INGEST, PORTS, QUERY, RagService, RagServiceArgs, locate_ingest, rag_image
from platforms.connect import connect
from platforms.monitoring_targets import Scrape
from providers.collection import ReplicatedCollection
from settings import PROJECT, Settings

settings = Settings.from_stack()
platform = connect(settings.stack, settings.kubernetes)
credentials = Credentials(
    "credentials",
    config=pulumi.Config(PROJECT),
    protect=settings.stack.protect_data,
    given=platform.given_secrets(),
)
api_key = credentials.secret("qdrantApiKey")
read_only_key = credentials.secret("qdrantReadOnlyApiKey")
service_token = credentials.secret("gatewayServiceToken")
jwt_secrets = {key: credentials.secret(f"gatewayJwt-{key}", rotates=True) for key in settings.gateway.jwt_keys}
counted_in_redis = settings.gateway.rate_limit_policy == "redis"
counter_secrets = {REDIS_PASSWORD: credentials.secret("gatewayRedisPassword")} if counted_in_redis else {}

qdrant = QdrantCluster(
    "qdrant",
    QdrantClusterArgs(
        platform=platform,
        settings=settings.qdrant,
        node_image=settings.image.qdrant,
        balancer_image=settings.image.haproxy,
        keys=QdrantKeys(
            api_key=api_key,
            read_only_api_key=read_only_key,
            balancer_password=credentials.secret("haproxyPassword"),
        ),
    ),
)
rag_args = RagServiceArgs(
    platform=platform,
    settings=settings.rag,
    image=rag_image(settings.image.rag, base=settings.image.python),
    collection=settings.collection.alias,
    qdrant_url=qdrant.url,
    qdrant=qdrant.balancer.call(haproxy.HTTP),
    qdrant_api_key=api_key,
    qdrant_read_only_api_key=read_only_key,
    service_token=service_token,
    traces_url=settings.observability.traces_url,
)
collection = ReplicatedCollection(
    "collection",
    settings.collection,
    node_urls=qdrant.node_urls,
    api_key=api_key,
    ingest_url=locate_ingest(rag_args),
    ingest_token=service_token,
    embedder=settings.rag.embedder,
    deletion_protected=settings.stack.protect_data,
    # A destroyed stack keeps its volumes, and with them the collection: the next one adopts it.
    opts=ResourceOptions(
        parent=qdrant,
        depends_on=qdrant.ready,
        retain_on_delete=settings.stack.protect_data,
        deleted_with=qdrant.nodes.data[0],
    ),
)
rag = RagService("rag", rag_args, ResourceOptions(depends_on=[collection]))
gateway = KongGateway(
    "gateway",
    KongGatewayArgs(
        platform=platform,
        settings=settings.gateway,
        kong_image=settings.image.kong,
        postgres_image=settings.image.postgres,
        valkey_image=settings.image.valkey,
        postgres_password=credentials.secret("postgresPassword"),
        gateway=rag_gateway(
            settings.gateway, (rag.services[API].address(PORTS[API]),), settings.observability.traces_url
        ),
        traces_url=settings.observability.traces_url,
        backends=rag.ready,
        calls=(rag.services[API].call(PORTS[API]),),
        secrets={
            SERVICE_TOKEN: service_token,
            CANARY: credentials.secret("gatewayCanary"),
            **counter_secrets,
            **{jwt_secret(key): secret for key, secret in jwt_secrets.items()},
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
        postgres_exporter_image=settings.image.postgres_exporter,
        valkey_exporter_image=settings.image.valkey_exporter,
        targets=ScrapeTargets(
            qdrant_cluster=tuple(qdrant.nodes.replica_addresses(REST)),
            haproxy=tuple(qdrant.balancer.replica_addresses(haproxy.STATISTICS)),
            kong=tuple(gateway.kong.replica_addresses(STATUS)),
            rag_service=tuple(rag.services[API].replica_addresses(PORTS[API])),
            llamaindex_query=tuple(rag.services[QUERY].replica_addresses(PORTS[QUERY])),
            rag_ingest=tuple(rag.services[INGEST].replica_addresses(PORTS[INGEST])),
        ),
        scrapes=(
            Scrape(job="qdrant-cluster", call=qdrant.nodes.call(REST), bearer=read_only_key),
            Scrape(job="haproxy", call=qdrant.balancer.call(haproxy.STATISTICS)),
            Scrape(job="kong", call=gateway.kong.call(STATUS)),
            Scrape(job="rag-service", call=rag.services[API].call(PORTS[API])),
            Scrape(job="llamaindex-query", call=rag.services[QUERY].call(PORTS[QUERY])),
            Scrape(job="rag-ingest", call=rag.services[INGEST].call(PORTS[INGEST])),
        ),
        promises=Promises(
            qdrant_nodes=settings.qdrant.nodes,
            qdrant_memory_mib=settings.qdrant.memory_mib,
            replication_factor=settings.collection.replication_factor,
            scrape_seconds=settings.observability.scrape_seconds,
        ),
        qdrant_read_only_api_key=read_only_key,
        grafana_password=credentials.secret("grafanaPassword"),
        postgres=PostgresSource.of(gateway.database, credentials.secret("postgresPassword")),
        valkey=ValkeySource.of(gateway.counter, counter_secrets.get(REDIS_PASSWORD, "")),
    ),
)

signing_key = settings.gateway.jwt_keys[0]
for name, value in {
    "gatewayUrl": gateway.kong.world_url(PROXY),
    "gatewayAdminUrl": gateway.admin_url,
    "gatewayJwtKey": signing_key,
    "gatewayJwtSecret": jwt_secrets[signing_key],
    "gatewayServiceToken": service_token,
    "qdrantUrl": qdrant.balancer.public_url(haproxy.HTTP),
    "qdrantNodeUrls": qdrant.node_urls,
    "qdrantApiKey": api_key,
    "qdrantReadOnlyApiKey": read_only_key,
    "balancerUrl": qdrant.balancer.public_url(haproxy.STATISTICS),
    "balancerPassword": credentials.secret("haproxyPassword"),
    "collection": settings.collection.alias,
    "physicalCollection": collection.physical_name,
    "ingestUrl": rag.ingest_url,
    "prometheusUrl": observability.prometheus_url,
    "grafanaUrl": observability.grafana_url,
    "grafanaPassword": credentials.secret("grafanaPassword"),
}.items():
    pulumi.export(name, value)
