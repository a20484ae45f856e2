"""The packages of these tests alone, before anything of them is imported."""

import sys

from support.environment import variable

# Behind the others: what both have, is theirs.
sys.path.append(variable("DEPLOY_PACKAGES"))
