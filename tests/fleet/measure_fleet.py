"""The scenes of test_fleet.py with as many streams as FLEET_STREAMS says; prints what docs/scaling.md has.

`FLEET_STREAMS=300 cargo xtask test --only server -- -s tests/fleet/measure_fleet.py`
"""

import os

import pytest

from fleet.scenes import behind_a_balancer, behind_the_gateway

STREAMS = int(os.environ.get("FLEET_STREAMS", "300"))
# Slower than speech on a machine that cannot hear so many at once.
PAUSE = float(os.environ.get("FLEET_PAUSE", "3"))


@pytest.mark.parametrize("scenes", [behind_a_balancer, behind_the_gateway])
def test_scenes(models, scenes):
    print(f"\n{scenes.__name__}, {STREAMS} streams")
    for name, value in scenes(models, STREAMS, PAUSE).items():
        print(f"| {name} | {value} |")
