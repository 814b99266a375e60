"""Prompts of other tools: dotprompt, promptfoo, Langfuse, MLflow, and prompty as others write it.

Each format is read into prompts of our own and written from them. What a format cannot say is refused with a sentence, or
named as left out; what was written is read again before it is kept.
"""
