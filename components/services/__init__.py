"""What runs behind the gateway."""
