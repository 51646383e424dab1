"""One package per CRM, whose name is the configured name; what they share stands beside them."""
