"""The proof: every promise of the platform as a run that anyone can repeat and a page that anyone can read."""
