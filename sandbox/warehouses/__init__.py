"""Stand-ins of the warehouses, one module each, under the warehouse's name."""
