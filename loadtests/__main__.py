"""`python -m loadtests` is `loadtest`."""

from loadtests.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
