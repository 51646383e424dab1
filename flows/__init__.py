"""What is deployed: Prefect flows, orchestration only."""
