"""What starts the pipeline by itself: long-running listeners, beside the flows."""
