"""Groups of commands that the command line mounts, and how all of them talk to people."""
