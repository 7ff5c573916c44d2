"""All SQL of the application; nothing here commits, the caller does."""
