"""The engine that asks a provider over HTTP, as its spec says."""
