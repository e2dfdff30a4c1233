"""Points: read, compared, and made equal between two collections."""
