"""Loopback stand-ins of ZoomInfo, HubSpot, Slack and a mail server; for demo, tests, benchmark."""
