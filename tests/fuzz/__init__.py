"""Whatever comes from outside is read or refused."""
