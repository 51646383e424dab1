"""Configuration of what listens for new contacts."""
