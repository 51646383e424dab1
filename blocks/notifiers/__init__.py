"""One module per way of telling people; the module's name is the configured name."""
