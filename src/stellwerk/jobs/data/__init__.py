"""AI data engineer: from raw files to a clean, tested, versioned dataset.

A spec file `datasets/NAME.yaml` says where documents come from and what is asked of them. `data build` reads, normalises,
scores, finds personal data and duplicates, selects, splits and writes one immutable version; its ledger accounts for every
document. Scores are computed once: another bound costs seconds. What it shares with other jobs on text is in `stellwerk.text`.
"""
