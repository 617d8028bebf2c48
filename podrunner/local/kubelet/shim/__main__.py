"""Where the shim begins. Python has put this folder on its path; the package is found from the folder above."""

import os
import sys

sys.path[0] = os.path.dirname(sys.path[0])  # noqa: PTH120 - pathlib would delay the start of every container
sys.path.append(sys.path.pop(0))

from shim.serve import main  # type: ignore[import-not-found]  # noqa: E402

sys.exit(main())
