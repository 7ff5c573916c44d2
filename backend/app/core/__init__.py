"""What the whole application shares: database, Redis, tokens."""
