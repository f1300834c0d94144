"""`python -m taut`: the same as `taut`."""

import sys

from taut.command.main import main

if __name__ == "__main__":
    sys.exit(main())
