"""The gateway as one typed description, and its two renderings: Kong's Admin API and declarative YAML."""
