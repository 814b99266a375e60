"""Formats of other tools: promptfoo, Langfuse and inspect_ai come in; inspect_ai, JUnit XML, JSON lines and CSV go out."""
