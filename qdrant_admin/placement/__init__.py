"""Which peers hold which replicas, and the moves that get there."""
