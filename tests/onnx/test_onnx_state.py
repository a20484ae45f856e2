"""Implicit state: what a sequence leaves for its next request."""

import random

import numpy as np
import pytest
from harness import io, parameter, tensor
from tritonclient.utils import InferenceServerException

RUNNING_INPUTS = [tensor("index", "INT32", [1], "reshape { shape: [ ] }"), tensor("text", "STRING", [1])]
RUNNING_OUTPUTS = [tensor("seen", "INT32", [1]), tensor("text_before", "STRING", [1])]
RUNNING = io(RUNNING_INPUTS, RUNNING_OUTPUTS)
# A state that clients get too.
LENIENT = parameter("lenient_config", "true")
RUNNING_TOTAL = LENIENT + io(RUNNING_INPUTS, [*RUNNING_OUTPUTS, tensor("new_total", "FP32", [2])])
HISTORY = LENIENT + io([tensor("x", "FP32", [1])], [tensor("longer", "FP32", [-1])])
CONTROLS = io([tensor("x", "INT64", [1])], [tensor("told", "INT64", [5])])


def state(taken, given, kind, dims, extra=""):
    dims = ", ".join(map(str, dims))
    return f'{{ input_name: "{taken}" output_name: "{given}" data_type: TYPE_{kind} dims: [ {dims} ] {extra} }}'


def sequences(states=(), controls=(), strategy="oldest { max_candidate_sequences: 64 }"):
    states = f"state [ {', '.join(states)} ]" if states else ""
    controls = f"control_input [ {', '.join(controls)} ]" if controls else ""
    return f"sequence_batching {{ max_sequence_idle_microseconds: 20000000 {strategy} {controls} {states} }}\n"


def initial(kind, dims, source):
    dims = ", ".join(map(str, dims))
    return f'initial_state: {{ name: "first" data_type: TYPE_{kind} dims: [ {dims} ] {source} }}'


def running_states(extra=""):
    return [
        state("total", "new_total", "FP32", [2], f'{initial("FP32", [2], "zero_data: true")} {extra}'),
        state("count", "new_count", "INT32", [1], f'{initial("INT32", [1], chr(32).join(["data_file:", chr(34) + "hundred" + chr(34)]))} {extra}'),
        state("old_text", "new_text", "STRING", [1]),
    ]


CONTROL_INPUTS = [
    '{ name: "START" control [ { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } ] }',
    '{ name: "READY" control [ { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] } ] }',
    '{ name: "END" control [ { kind: CONTROL_SEQUENCE_END bool_false_true: [ false, true ] } ] }',
    '{ name: "CORRID" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } ] }',
]

ISOLATED = parameter("isolate_failures", "true")


def together_if_possible(size):
    """A strategy that waits a second for so many sequences."""
    return f"oldest {{ max_candidate_sequences: 64 preferred_batch_size: [ {size} ] max_queue_delay_microseconds: 1000000 }}"


# The server gives a model without it two instances, and each sequence one of them.
ONE_INSTANCE = "instance_group [ { count: 1 kind: KIND_CPU } ]\n"


def growing(**options):
    states = [state("history", "longer", "FP32", [-1], initial("FP32", [1], "zero_data: true"))]
    return "max_batch_size: 8\n" + sequences(states, **options) + HISTORY


MODELS = {
    "running": ("max_batch_size: 8\n" + sequences(running_states()) + RUNNING, "running.onnx"),
    "running_same_buffer": (
        "max_batch_size: 8\n" + sequences(running_states("use_same_buffer_for_input_output: true")) + RUNNING_TOTAL,
        "running.onnx",
    ),
    "running_direct": (
        "max_batch_size: 8\ninstance_group [ { count: 2 kind: KIND_CPU } ]\n"
        + sequences(running_states(), strategy="direct { }")
        + RUNNING_TOTAL,
        "running.onnx",
    ),
    "running_isolated": ("max_batch_size: 8\n" + ISOLATED + sequences(running_states()) + RUNNING_TOTAL, "running.onnx"),
    "running_same_buffer_isolated": (
        "max_batch_size: 8\n" + ISOLATED + sequences(running_states("use_same_buffer_for_input_output: true")) + RUNNING_TOTAL,
        "running.onnx",
    ),
    "running_four": ("max_batch_size: 8\n" + ONE_INSTANCE + sequences(running_states(), strategy=together_if_possible(4)) + RUNNING, "running.onnx"),
    "history": (parameter("group_by_shape", "true") + growing(), "history.onnx"),
    "history_two": (ONE_INSTANCE + growing(strategy=together_if_possible(2)), "history.onnx"),
    "controls": ("max_batch_size: 8\n" + sequences(controls=CONTROL_INPUTS) + CONTROLS, "controls.onnx"),
    "bare_running": ("max_batch_size: 8\n" + LENIENT + sequences(running_states()), "running.onnx"),
}


@pytest.fixture(scope="module")
def models(repository, onnx_server):
    for name, (config, model) in MODELS.items():
        repository.add(name, config, model)
        first = repository.path / name / "initial_state" / "hundred"
        first.parent.mkdir()
        first.write_bytes(np.array([100], np.int32).tobytes())
        onnx_server.client.load_model(name)


class Sequence:
    """A sequence of requests to a model made of running.onnx, and what it should be told."""

    TABLE = np.arange(8, dtype=np.float32).reshape(4, 2)

    def __init__(self, infer, model, correlation_id, indices):
        self.infer, self.model, self.id, self.indices = infer, model, correlation_id, indices
        self.done, self.count, self.total, self.text = 0, 100, np.zeros(2, np.float32), b""

    def finished(self):
        return self.done == len(self.indices)

    def step(self):
        index = self.indices[self.done]
        first, self.done = self.done == 0, self.done + 1
        text = f"{self.id} {self.done}".encode()
        inputs = {"index": np.array([[index]], np.int32), "text": ("BYTES", np.array([[text]], dtype=object))}
        flags = {"sequence_id": self.id, "sequence_start": first, "sequence_end": self.finished()}
        if index > 3:
            with pytest.raises(Exception, match=f"idx={index}"):
                self.infer(self.model, inputs, **flags)
            return
        got = self.infer(self.model, inputs, **flags)
        self.total, self.count = self.total + self.TABLE[index], self.count + 1
        if "new_total" in got:
            assert got["new_total"].tolist() == [self.total.tolist()]
        assert got["seen"].tolist() == [[self.count]]
        assert got["text_before"].tolist() == [[self.text]]
        self.text = text


@pytest.mark.parametrize("model", ["running", "running_same_buffer", "running_direct"])
def test_state_goes_from_request_to_request(models, infer, model):
    for correlation_id in (7, "seven"):
        sequence = Sequence(infer, model, correlation_id, [1, 3, 0, 2])
        while not sequence.finished():
            sequence.step()


@pytest.mark.parametrize("model", ["running", "running_same_buffer", "running_direct"])
def test_many_sequences_side_by_side(models, infer, together, statistics, model):
    random.seed(3)
    waiting = [Sequence(infer, model, 100 + i, random.choices(range(4), k=random.randint(1, 12))) for i in range(40)]
    # Twelve live ones, up to eight requests at a time, in any order.
    while waiting:
        live = waiting[:12]
        chosen = random.sample(live, min(8, len(live)))
        together([sequence.step for sequence in chosen])
        waiting = [sequence for sequence in waiting if not sequence.finished()]
    stats, batches = statistics(model, 40)
    assert max(batches) > 1, batches


@pytest.mark.parametrize("model", ["running_isolated", "running_same_buffer_isolated"])
def test_a_failed_request_leaves_the_state_as_it_was(models, infer, together, model):
    sequences = [Sequence(infer, model, 500 + i, [1, 2, 99, 3, 3]) for i in range(3)]
    others = [Sequence(infer, model, 600 + i, [1, 2, 3, 0, 1]) for i in range(5)]
    for _ in range(5):
        together([sequence.step for sequence in sequences + others])
    assert all(sequence.count == 104 for sequence in sequences)
    assert all(sequence.count == 105 for sequence in others)


def test_a_failed_batch_leaves_all_states_as_they_were(models, infer, together):
    sequences = [Sequence(infer, "running_four", 700 + i, [1, 2, 3]) for i in range(4)]

    def refused(sequence, index):
        inputs = {"index": np.array([[index]], np.int32), "text": ("BYTES", np.array([[b"lost"]], dtype=object))}
        with pytest.raises(InferenceServerException, match="^.StatusCode.INTERNAL. onnx runtime error 2: .*idx=99"):
            infer("running_four", inputs, sequence_id=sequence.id)

    together([sequence.step for sequence in sequences])
    together([lambda sequence=sequence, i=i: refused(sequence, 99 if i == 2 else 1) for i, sequence in enumerate(sequences)])
    for _ in range(2):
        together([sequence.step for sequence in sequences])
    assert all(sequence.count == 103 for sequence in sequences)


def test_a_start_begins_afresh(models, infer):
    begun = Sequence(infer, "running", 900, [1, 1, 1])
    begun.step()
    begun.step()
    afresh = Sequence(infer, "running", 900, [2, 2])
    afresh.step()
    afresh.step()


def test_a_state_that_grows(models, infer, together):
    def step(correlation_id, i):
        x = np.array([[correlation_id + i]], np.float32)
        return infer("history", {"x": x}, sequence_id=correlation_id, sequence_start=i == 0, sequence_end=i == 5)["longer"]

    # Sequences of different ages share executions.
    ages = {10: 0, 20: 0, 30: 0, 40: 0}
    for turn in range(9):
        calls = {i: age for i, age in ages.items() if age < 6 and i <= 10 * (turn + 1)}
        got = together([lambda i=i, age=age: step(i, age) for i, age in calls.items()])
        for (i, age), longer in zip(calls.items(), got):
            assert longer.tolist() == [[0] + [i + each for each in range(age + 1)]]
            ages[i] += 1
    assert set(ages.values()) == {6}


def test_states_of_different_sizes_fail_a_batch(models, infer, together):
    def step(correlation_id, value, start):
        x = np.array([[value]], np.float32)
        return infer("history_two", {"x": x}, sequence_id=correlation_id, sequence_start=start)["longer"].tolist()

    assert step(10, 1, True) == [[0, 1]]
    errors = together([lambda: step(10, 2, False), lambda: step(20, 3, True)], errors=True)
    for error in errors:
        assert error.status() == "StatusCode.INTERNAL"
        for part in ("'history_two'", "input 'history'", "[1]", "[2]", "group_by_shape: true"):
            assert part in error.message(), error.message()
    assert step(10, 4, False) == [[0, 1, 4]]


def test_only_the_state_is_kept_when_nothing_else_is_asked_for(models, infer):
    text = ("BYTES", np.array([[b"t"]], dtype=object))
    for i in range(3):
        flags = {"sequence_id": 77, "sequence_start": i == 0, "sequence_end": i == 2}
        got = infer("running", {"index": np.array([[1]], np.int32), "text": text}, ["seen"], **flags)
        assert set(got) == {"seen"} and got["seen"].tolist() == [[101 + i]]


def test_controls_reach_the_model(models, infer):
    told = [
        infer("controls", {"x": np.array([[i]], np.int64)}, sequence_id=1234, sequence_start=i == 0, sequence_end=i == 2)["told"][0]
        for i in range(3)
    ]
    assert [row.tolist() for row in told] == [[1, 1, 0, 1234, 0], [0, 1, 0, 1234, 1], [0, 1, 1, 1234, 2]]


def test_auto_complete_leaves_states_to_the_server(models, onnx_server):
    config = onnx_server.client.get_model_config("bare_running").config
    assert {each.name for each in config.input} == {"index", "text"}
    assert {each.name for each in config.output} == {"seen", "text_before"}


BROKEN = {
    "state_input": (
        sequences([state("sum", "new_total", "FP32", [2]), *running_states()[1:]]) + RUNNING,
        ["state input 'sum'", "'total'"],
    ),
    "state_output": (
        sequences([state("total", "new_sum", "FP32", [2]), *running_states()[1:]]) + RUNNING,
        ["state output 'new_sum'"],
    ),
    "state_type": (
        sequences([state("total", "new_total", "INT32", [2]), *running_states()[1:]]) + RUNNING,
        ["state input 'total'", "TYPE_INT32", "FP32"],
    ),
    "state_dims": (
        sequences([state("total", "new_total", "FP32", [3]), *running_states()[1:]]) + RUNNING,
        ["state input 'total'", "[-1,2]", "[-1,3]"],
    ),
    "not_completed": (sequences(running_states()), ["input 'total' comes from the server", "lenient_config: true"]),
    "state_in_input": (
        sequences(running_states()) + RUNNING.replace("input [", f"input [ {tensor('total', 'FP32', [2])},", 1),
        ["input 'total' comes from the server"],
    ),
    "state_in_output": (
        sequences(running_states()) + io(RUNNING_INPUTS, [*RUNNING_OUTPUTS, tensor("new_total", "FP32", [2])]),
        ["output 'new_total' is a state too", "lenient_config: true"],
    ),
    "no_state": (sequences(running_states()[1:]) + RUNNING, ["input 'total'", "does not list"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_states_that_do_not_fit(repository, onnx_server, name):
    config, parts = BROKEN[name]
    repository.add(f"broken_{name}", "max_batch_size: 8\n" + config, "running.onnx")
    first = repository.path / f"broken_{name}" / "initial_state" / "hundred"
    first.parent.mkdir()
    first.write_bytes(np.array([100], np.int32).tobytes())
    message = onnx_server.load_error(f"broken_{name}")
    for part in (f"model 'broken_{name}'", *parts):
        assert part in message, message
