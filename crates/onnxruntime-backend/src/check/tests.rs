//! Configs that fit a file, and those that do not.

use super::*;

pub(crate) fn tensor(name: &str, data_type: DataType, dims: &[i64]) -> Tensor {
    Tensor {
        name: name.to_owned(),
        data_type: Ok(data_type),
        dims: dims.to_vec(),
        optional: false,
    }
}

fn encoder() -> Signature {
    Signature {
        inputs: vec![
            tensor("speech", DataType::Fp32, &[-1, -1, 560]),
            tensor("lengths", DataType::Int32, &[-1]),
        ],
        outputs: vec![tensor("logits", DataType::Fp32, &[-1, -1, 178])],
    }
}

fn config(json: serde_json::Value) -> ModelConfig {
    ModelConfig::from_json(&json.to_string()).unwrap()
}

fn encoder_json() -> serde_json::Value {
    serde_json::json!({
        "max_batch_size": 16,
        "input": [
            {"name": "speech", "data_type": "TYPE_FP32", "dims": [-1, 560]},
            {"name": "lengths", "data_type": "TYPE_INT32", "dims": [1], "reshape": {"shape": []}},
        ],
        "output": [{"name": "logits", "data_type": "TYPE_FP32", "dims": [-1, 178]}],
    })
}

const STRICT: Leniency = Leniency {
    config: false,
    group_by_shape: false,
    isolate_failures: false,
};
const LENIENT: Leniency = Leniency {
    config: true,
    ..STRICT
};

/// What a strict look at the encoder's config finds, once it is changed.
fn problem(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut json = encoder_json();
    change(&mut json);
    problem_of(json, &encoder())
}

/// What is wrong, and that a lenient look finds the same, unless the message says that it does not.
fn problem_of(json: serde_json::Value, signature: &Signature) -> String {
    let sequence = SequenceTensors::from_config(&json);
    let config = config(json);
    let problem = check(&config, &sequence, signature, STRICT).unwrap_err();
    let lenient = check(&config, &sequence, signature, LENIENT);
    assert_eq!(
        lenient.is_ok(),
        problem.contains(LENIENT_CONFIG),
        "{problem}"
    );
    problem
}

fn passes(json: serde_json::Value, signature: &Signature) {
    let sequence = SequenceTensors::from_config(&json);
    let config = config(json);
    for leniency in [STRICT, LENIENT] {
        check(&config, &sequence, signature, leniency).unwrap();
    }
}

#[test]
fn a_fitting_config_with_reshape_passes() {
    passes(encoder_json(), &encoder());
}

#[test]
fn names_and_data_types_are_compared() {
    let unknown = problem(|json| json["output"][0]["name"] = "logit".into());
    assert_eq!(
        unknown,
        "the config's output 'logit' is not in the ONNX file, which has 'logits'"
    );
    let unlisted = problem(|json| {
        json["input"].as_array_mut().unwrap().pop();
    });
    assert_eq!(
        unlisted,
        "the ONNX file needs input 'lengths' (INT32 [-1]), which the config does not list; its inputs are 'speech'"
    );
    let data_type = problem(|json| json["input"][1]["data_type"] = "TYPE_INT64".into());
    assert_eq!(
        data_type,
        "input 'lengths': the config says TYPE_INT64, the ONNX file has INT32"
    );
}

#[test]
fn a_message_names_the_tensor_both_shapes_and_what_to_write() {
    assert_eq!(
        problem(|json| json["input"][0]["dims"] = serde_json::json!([7, 400])),
        "input 'speech': the ONNX file has the shape [-1,-1,560], the config says [-1,7,400] \
         (the batch, because max_batch_size is over 0, then dims); write dims: [ 7, 560 ]"
    );
    assert_eq!(
        problem(|json| json["output"][0]["dims"] = serde_json::json!([-1, -1])),
        "output 'logits': the ONNX file has the shape [-1,-1,178], the config says [-1,-1,-1] \
         (the batch, because max_batch_size is over 0, then dims); write dims: [ -1, 178 ] (with parameter \
         lenient_config: true this backend takes it as it is; the official one knows no such parameter)"
    );
    let reshape = |shape: &[i64]| serde_json::json!({"shape": shape});
    let shape = problem(|json| json["input"][1]["reshape"] = reshape(&[1]));
    assert!(
        shape.contains("the ONNX file has the shape [-1], the config says [-1,1] (the batch, then reshape's shape)"),
        "{shape}"
    );
    assert!(
        shape.ends_with("write dims: [ 1 ] reshape: { shape: [ ] }"),
        "{shape}"
    );
    let shape = problem(|json| {
        json["output"][0]["dims"] = serde_json::json!([9, 178]);
        json["output"][0]["reshape"] = reshape(&[178, 9]);
    });
    assert!(
        shape.ends_with("write reshape: { shape: [ -1, 178 ] }"),
        "{shape}"
    );
}

#[test]
fn an_input_may_be_narrower_than_the_file_and_an_output_may_not() {
    let mut json = encoder_json();
    json["input"][0]["dims"] = serde_json::json!([100, 560]);
    passes(json, &encoder());
    for dims in [[-1, -1], [100, 178], [100, -1]] {
        let message = problem(|json| json["output"][0]["dims"] = serde_json::json!(dims));
        assert!(message.contains(LENIENT_CONFIG), "{message}");
    }
    let message = problem(|json| json["input"][0]["dims"] = serde_json::json!([-1, -1]));
    assert!(
        message.contains("write dims: [ -1, 560 ] (with"),
        "{message}"
    );
    // Nothing makes these fit.
    for dims in [serde_json::json!([-1, 179]), serde_json::json!([178])] {
        let message = problem(|json| json["output"][0]["dims"] = dims);
        assert!(message.ends_with("write dims: [ -1, 178 ]"), "{message}");
    }
}

#[test]
fn a_scalar_has_no_dimension_but_one() {
    let mut signature = encoder();
    signature.outputs = vec![tensor("count", DataType::Int64, &[])];
    let json = |max_batch_size: i32, dims: &[i64]| {
        serde_json::json!({
            "max_batch_size": max_batch_size,
            "input": [
                {"name": "speech", "data_type": "TYPE_FP32", "dims": [-1, -1, 560]},
                {"name": "lengths", "data_type": "TYPE_INT32", "dims": [-1]},
            ],
            "output": [{"name": "count", "data_type": "TYPE_INT64", "dims": dims}],
        })
    };
    passes(json(0, &[1]), &signature);
    for dims in [&[-1][..], &[2], &[1, 3]] {
        let message = problem_of(json(0, dims), &signature);
        assert!(
            message.contains("output 'count' is a scalar") && message.contains(LENIENT_CONFIG),
            "{message}"
        );
    }
    let mut batched = encoder_json();
    batched["output"] = json(4, &[1])["output"].take();
    let message = problem_of(batched, &signature);
    assert!(
        message.contains("max_batch_size is 16") && message.contains("is []"),
        "{message}"
    );
}

#[test]
fn optional_inputs_are_those_with_a_default_in_models_that_do_not_batch() {
    let mut signature = encoder();
    signature.inputs[1].optional = true;
    let with = |max_batch_size: i32, optional: [bool; 2]| {
        let batch = &[-1][usize::from(max_batch_size > 0)..];
        let dims = |row: &[i64]| [batch, row].concat();
        serde_json::json!({
            "max_batch_size": max_batch_size,
            "input": [
                {"name": "speech", "data_type": "TYPE_FP32", "dims": dims(&[-1, 560]), "optional": optional[0]},
                {"name": "lengths", "data_type": "TYPE_INT32", "dims": [1], "optional": optional[1],
                    "reshape": {"shape": batch}},
            ],
            "output": [{"name": "logits", "data_type": "TYPE_FP32", "dims": dims(&[-1, 178])}],
        })
    };
    passes(with(0, [false, true]), &signature);
    for (max_batch_size, optional, words) in [
        (
            4,
            [false, true],
            "input 'lengths': an optional input needs max_batch_size: 0",
        ),
        (0, [true, true], "input 'speech': it has no default"),
        (0, [false, false], "input 'lengths': it has a default"),
    ] {
        let message = problem_of(with(max_batch_size, optional), &signature);
        assert!(
            message.starts_with(words) && message.contains(LENIENT_CONFIG),
            "{message}"
        );
    }
    let mut without = with(4, [false, true]);
    without["input"].as_array_mut().unwrap().pop();
    passes(without, &signature);
}

#[test]
fn ragged_inputs_need_their_parameter() {
    let mut json = encoder_json();
    json["input"][0]["allow_ragged_batch"] = true.into();
    let message = problem_of(json.clone(), &encoder());
    assert!(
        message.contains("'speech'") && message.contains("group_by_shape: true"),
        "{message}"
    );
    let grouping = Leniency {
        group_by_shape: true,
        ..STRICT
    };
    check(
        &config(json),
        &SequenceTensors::default(),
        &encoder(),
        grouping,
    )
    .unwrap();
}

#[test]
fn without_batching_dims_are_the_whole_shape() {
    let mut json = encoder_json();
    json["max_batch_size"] = 0.into();
    json["input"][0]["dims"] = serde_json::json!([2, -1, 560]);
    json["input"][1] =
        serde_json::json!({"name": "lengths", "data_type": "TYPE_INT32", "dims": [2]});
    json["output"][0]["dims"] = serde_json::json!([-1, -1, 178]);
    passes(json, &encoder());
}

#[test]
fn a_fixed_first_dimension_cannot_batch() {
    let mut signature = encoder();
    signature.inputs[0].dims[0] = 1;
    let message = problem_of(encoder_json(), &signature);
    assert!(
        message.starts_with("input 'speech': max_batch_size is 16"),
        "{message}"
    );
}

/// The encoder with a control input and a state, in the file and in the config.
fn with_sequence() -> (serde_json::Value, Signature) {
    let mut signature = encoder();
    signature
        .inputs
        .push(tensor("START", DataType::Fp32, &[-1, 1]));
    signature
        .inputs
        .push(tensor("cache", DataType::Fp32, &[-1, 128, -1]));
    signature
        .outputs
        .push(tensor("new_cache", DataType::Fp32, &[-1, 128, -1]));
    let mut json = encoder_json();
    json["sequence_batching"] = serde_json::json!({
        "control_input": [{"name": "START", "control": [{"kind": "CONTROL_SEQUENCE_START", "fp32_false_true": [0, 1]}]}],
        "state": [{"input_name": "cache", "output_name": "new_cache", "data_type": "TYPE_FP32", "dims": [128, 10]}],
    });
    (json, signature)
}

#[test]
fn controls_and_states_are_the_servers_to_give() {
    let (json, signature) = with_sequence();
    passes(json.clone(), &signature);
    let message = problem_of(json.clone(), &encoder());
    assert!(
        message.starts_with("the config's control input 'START'"),
        "{message}"
    );
    let cache = serde_json::json!({"name": "cache", "data_type": "TYPE_FP32", "dims": [128, -1]});
    let mut twice = json;
    twice["input"].as_array_mut().unwrap().push(cache);
    let message = problem_of(twice, &signature);
    assert!(
        message.starts_with("input 'cache' comes from the server"),
        "{message}"
    );
}

#[test]
fn a_state_is_refused_if_nothing_makes_it_fit() {
    let (json, signature) = with_sequence();
    for (dims, fits) in [([128, -1], true), ([-1, 10], true), ([127, 10], false)] {
        let mut json = json.clone();
        json["sequence_batching"]["state"][0]["dims"] = serde_json::json!(dims);
        match fits {
            true => passes(json, &signature),
            false => {
                let message = problem_of(json, &signature);
                assert!(
                    message.starts_with("state input 'cache'") && message.contains("[-1,127,10]"),
                    "{message}"
                );
            }
        }
    }
}

#[test]
fn a_state_that_clients_can_get_is_an_output_of_models_that_do_not_batch() {
    let (mut json, signature) = with_sequence();
    let listed = |dims: &[i64]| serde_json::json!({"name": "new_cache", "data_type": "TYPE_FP32", "dims": dims});
    json["output"]
        .as_array_mut()
        .unwrap()
        .push(listed(&[128, 10]));
    let message = problem_of(json.clone(), &signature);
    assert!(
        message.starts_with("output 'new_cache': the ONNX"),
        "{message}"
    );
    assert!(
        message.contains("write dims: [ 128, -1 ] (with"),
        "{message}"
    );
    json["output"][1] = listed(&[128, -1]);
    let message = problem_of(json.clone(), &signature);
    assert!(
        message.starts_with("output 'new_cache' is a state too"),
        "{message}"
    );
    json["max_batch_size"] = 1.into();
    passes(json, &signature);
}

#[test]
fn a_control_is_one_number_a_row_of_the_type_that_is_sent() {
    let (json, signature) = with_sequence();
    let mut int = json.clone();
    int["sequence_batching"]["control_input"][0]["control"][0] =
        serde_json::json!({"kind": "CONTROL_SEQUENCE_START", "int32_false_true": [0, 1]});
    assert_eq!(
        problem_of(int, &signature),
        "control input 'START': the config says TYPE_INT32, the ONNX file has FP32"
    );
    for dims in [&[-1, -1][..], &[-1, 2], &[-1], &[-1, 1, 1]] {
        let mut signature = signature.clone();
        signature.inputs[2].dims = dims.to_vec();
        let message = problem_of(json.clone(), &signature);
        assert!(
            message.starts_with("control input 'START': behind the batch"),
            "{message}"
        );
        assert!(message.contains(&shape_text(dims)), "{message}");
    }
}

#[test]
fn what_is_no_tensor_cannot_be_served() {
    let mut signature = encoder();
    signature.outputs[0].data_type = Err("a sequence".to_owned());
    let message = problem_of(encoder_json(), &signature);
    assert!(message.contains("'logits' is a sequence"), "{message}");
}
