"""The engine that queries a provider over HTTP, as its spec says."""
