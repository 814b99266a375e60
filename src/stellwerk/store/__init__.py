"""Where bytes live: artifacts by digest, dataset tables."""
