"""Talking to models: OpenAI-compatible endpoints, local weights, a simulated model, prompts as files, a cache of replies.

Knows no suite, no score and no job. `chat.py` has the words, `spec.py` what a person writes about a model, `opening.py` gives
the client for it.
"""
