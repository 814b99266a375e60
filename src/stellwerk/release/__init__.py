"""Whether an AI system may run: what would clear it, who decided what about it, and releases that prove it to others.

How a system stands is told by `standing`; here a release is made of that, signed, shown, compared and verified.
"""
