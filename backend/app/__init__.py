"""AgentHQ's API: the stack that the load-testing harness tests."""
