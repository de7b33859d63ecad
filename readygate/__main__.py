"""`python -m readygate` is the same as `readygate`."""

import sys

from readygate.cli import main

sys.exit(main())
