"""One declarative spec per provider, and the engine that reads them; the spec's name is the configured name."""
