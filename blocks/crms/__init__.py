"""One module per CRM; the module's name is the configured name."""
