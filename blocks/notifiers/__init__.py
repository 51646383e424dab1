"""One module per way to reach the team; the module's name is the configured name."""
