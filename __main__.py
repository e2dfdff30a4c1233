"""One stack: settings in, a platform to run on, the components connected, and the outputs that people need."""

import pulumi
from pulumi import ResourceOptions

from components.credentials import Credentials
from components.gateway.entities import CANARY
from components.gateway.kong import KongGateway, KongGatewayArgs
from components.gateway.node import PROXY, STATUS
from components.gateway.rag import REDIS_PASSWORD, SERVICE_TOKEN, jwt_secret, rag_gateway
from components.monitoring.exporters import postgres_exporter, valkey_exporter
from components.monitoring.observability import ObservabilityStack, ObservabilityStackArgs
from components.monitoring.promises import Promises
from components.qdrant import haproxy
from components.qdrant.cluster import REST, QdrantCluster, QdrantClusterArgs, QdrantKeys
from components.services.rag import API, INGEST, PORTS, QUERY, RagService, RagServiceArgs, rag_image
from platforms.connect import connect
from platforms.stack_file import PROJECT
from providers.collection import ReplicatedCollection
from settings import Settings

settings = Settings.from_stack()
platform = connect(settings.stack, settings.kubernetes)
credentials = Credentials(
    "credentials", config=pulumi.Config(PROJECT), protect=settings.stack.protect_data, given=platform.given_secrets()
)
api_key = credentials.secret("qdrantApiKey")
read_only_key = credentials.secret("qdrantReadOnlyApiKey")
service_token = credentials.secret("gatewayServiceToken")
jwt_secrets = {key: credentials.secret(f"gatewayJwt-{key}", rotates=True) for key in settings.gateway.jwt_keys}
postgres_password = credentials.secret("postgresPassword")
grafana_password = credentials.secret("grafanaPassword")
balancer_password = credentials.secret("haproxyPassword")
counter_secrets = {}
if settings.gateway.counter_address:
    counter_secrets[REDIS_PASSWORD] = credentials.secret("gatewayRedisPassword")

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
rag_args = RagServiceArgs(
    platform=platform,
    settings=settings.rag,
    image=rag_image(settings.image.rag, base=settings.image.python),
    collection=settings.collection.alias,
    qdrant_url=qdrant.url,
    qdrant=qdrant.balancer.connection(haproxy.HTTP),
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
    ingest_url=rag_args.ingest_url,
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
api, query, ingest = (rag.services[role] for role in (API, QUERY, INGEST))
gateway = KongGateway(
    "gateway",
    KongGatewayArgs(
        platform=platform,
        settings=settings.gateway,
        kong_image=settings.image.kong,
        postgres_image=settings.image.postgres,
        valkey_image=settings.image.valkey,
        postgres_password=postgres_password,
        gateway=rag_gateway(settings.gateway, (api.address(PORTS[API]),), settings.observability.traces_url),
        traces_url=settings.observability.traces_url,
        backends=(api.connection(PORTS[API]),),
        backends_ready=rag.ready,
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
        exporters=(
            *postgres_exporter(settings.image.postgres_exporter, gateway.database, postgres_password),
            *valkey_exporter(settings.image.valkey_exporter, gateway.counter, counter_secrets.get(REDIS_PASSWORD, "")),
        ),
        scrape_jobs=(
            qdrant.nodes.scrape_job(
                "qdrant-cluster", REST, bearer=read_only_key, bearer_file="qdrant-read-only-key", labels_nodes=True
            ),
            qdrant.balancer.scrape_job("haproxy", haproxy.STATISTICS),
            gateway.kong.scrape_job("kong", STATUS),
            api.scrape_job("rag-service", PORTS[API]),
            query.scrape_job("llamaindex-query", PORTS[QUERY]),
            ingest.scrape_job("rag-ingest", PORTS[INGEST]),
        ),
        promises=Promises(
            qdrant_nodes=settings.qdrant.nodes,
            qdrant_memory_mib=settings.qdrant.memory_mib,
            replication_factor=settings.collection.replication_factor,
            scrape_seconds=settings.observability.scrape_seconds,
        ),
        grafana_password=grafana_password,
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
    "balancerPassword": balancer_password,
    "collection": settings.collection.alias,
    "physicalCollection": collection.physical_name,
    "ingestUrl": rag_args.ingest_url,
    "prometheusUrl": observability.prometheus_url,
    "grafanaUrl": observability.grafana_url,
    "grafanaPassword": grafana_password,
}.items():
    pulumi.export(name, value)
