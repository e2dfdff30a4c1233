"""A preview that a reviewer can read: what would be done, what it means, and what must not be done unasked."""
