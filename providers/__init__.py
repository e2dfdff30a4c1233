"""What no published provider manages. The HTTP clients know nothing of Pulumi; the providers hold no client."""
