"""Programs that do the pipeline's job without most of its guarantees: what the pipeline is compared with."""
