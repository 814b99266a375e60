"""Models that judge: what one is, how it is audited against people, and how its verdicts are corrected."""
