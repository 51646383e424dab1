"""Configuration and secrets of everything outside, and the adapters that they hand out."""
