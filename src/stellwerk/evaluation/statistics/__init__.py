"""Statistics of evaluations, pure: intervals, paired comparisons, power, sequences, rankings, agreement, correction."""
