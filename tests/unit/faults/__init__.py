"""Every alert's fault: series in which it fires, and series that are nearly one; a file per subject."""

from tests.unit.faults.disks import DISKS
from tests.unit.faults.edge import EDGE
from tests.unit.faults.fault import Fault
from tests.unit.faults.gateway import GATEWAY
from tests.unit.faults.haproxy import HAPROXY
from tests.unit.faults.prometheus import PROMETHEUS
from tests.unit.faults.qdrant import QDRANT
from tests.unit.faults.qdrant_work import QDRANT_WORK
from tests.unit.faults.rag import RAG
from tests.unit.faults.slo import SLO
from tests.unit.faults.stores import STORES

FAULTS: tuple[Fault, ...] = (*QDRANT, *QDRANT_WORK, *GATEWAY, *HAPROXY, *RAG, *STORES, *DISKS, *EDGE, *PROMETHEUS, *SLO)
