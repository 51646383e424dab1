"""One module and one folder of SQL per warehouse; the module's name is the configured name."""
