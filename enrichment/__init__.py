"""The domain: pure decisions. No Prefect, no input or output, no clock, no environment."""
