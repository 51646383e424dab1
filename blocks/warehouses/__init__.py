"""One module and one SQL file per warehouse; the module's name is the configured name."""
