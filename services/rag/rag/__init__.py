"""A reference RAG service: search, answer and ingest over Qdrant, in one image with three roles."""
