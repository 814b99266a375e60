"""Who may come in over a network: accounts, tokens, sessions."""
