"""What was observed, judged and shown."""
