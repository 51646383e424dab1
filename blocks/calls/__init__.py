"""What every HTTP client of ours shares: pacing, retries and what an answer means for both."""
