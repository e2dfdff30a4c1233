"""What an operator does to a cluster that lives: back up, restore, migrate, replace a node, scale, verify."""
