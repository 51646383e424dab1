"""Runs bqemulator; executed by the Python of its own environment, not by ours."""

from bqemulator.cli import main

from sandbox.warehouses import _parsed_once

if __name__ == "__main__":
    _parsed_once.install()
    main()
