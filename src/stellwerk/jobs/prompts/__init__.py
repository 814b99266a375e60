"""Prompt engineer: a library of prompts as files, tested, compared, optimised, made cheaper, and promoted with evidence.

A prompt is one file `prompts/NAME.prompty`, its tests stand in `suites/`. `prompts test` measures a version of it with a model
on a suite, `prompts compare` says which wording is better or that it cannot be told, `prompts optimise` searches a better one,
and `prompts promote` moves an alias only with the evidence that its gates ask for.
"""
