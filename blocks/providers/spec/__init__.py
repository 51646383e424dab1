"""The language of provider specs: what a spec may say, and how a mistake in one is explained."""
