"""The guide's own sketch, made to run and nothing more: what the rest is measured against.

NAIVE=1 starts it in the place of the API and of the worker. It has the guide's pool (20 + 10 a
process, asked before each use), ORM objects, response models that check every answer, a middleware
derived from BaseHTTPMiddleware, a token decoded and a user read for every request, `.delay()` in an
async endpoint, one message a task, and no cache. Its faults are listed in docs/stack.md. Only what
kept it from starting was changed.
"""
