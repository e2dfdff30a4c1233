"""What Qdrant is asked and made to do, without Pulumi: nodes, placement of replicas, points, collections."""
