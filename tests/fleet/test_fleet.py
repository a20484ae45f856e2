"""Three servers on machines of their own that come and go under live streams; measure_fleet.py does it with 300."""

from fleet.scenes import behind_a_balancer, behind_the_gateway

STREAMS = 32
PAUSE = 0.3


def test_behind_a_balancer_the_streams_of_a_dead_server_end_and_no_others(models):
    told = behind_a_balancer(models, STREAMS, PAUSE)
    assert told["streams"] > 3 * STREAMS and told["streams that ended with an error"] > 0


def test_behind_the_gateway_nobody_notices(models):
    told = behind_the_gateway(models, STREAMS, PAUSE)
    assert told["streams"] > 3 * STREAMS and told["streams that were heard again"] > 0
