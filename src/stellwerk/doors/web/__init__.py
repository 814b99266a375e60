"""The pages: server-rendered, made of operations' results; no build step, nothing loaded from elsewhere."""
