"""One line for a Python that cannot build the environments; runs on any Python 3, before anything is installed."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # the reason why this file is here
    sys.exit("Python 3.11 or newer is needed, this is {}.{}: make PYTHON=python3.12 ...".format(*sys.version_info[:2]))
try:
    import ensurepip  # noqa: F401
except ImportError:
    sys.exit("this Python cannot make virtual environments (Debian: apt-get install python3-venv)")
