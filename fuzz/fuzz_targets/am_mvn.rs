//! am.mvn: an error, or as many finite shifts as scales, which are the same when they are written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use triton_funasr_fuzz::{value, within};
use wav_frontend::Cmvn;

fuzz_target!(|text: &str| {
    let Some(cmvn) = within(text.len(), 16, || value(Cmvn::parse(text))) else {
        return;
    };
    assert_eq!(
        (cmvn.shift().len(), cmvn.scale().len()),
        (cmvn.dim(), cmvn.dim())
    );
    let written: String = [("AddShift", cmvn.shift()), ("Rescale", cmvn.scale())]
        .map(|(section, values)| {
            assert!(values.iter().all(|value| value.is_finite()));
            let dim = values.len();
            let values: Vec<String> = values.iter().map(f32::to_string).collect();
            format!(
                "<{section}> {dim} {dim}\n<LearnRateCoef> 0 [ {} ]\n",
                values.join(" ")
            )
        })
        .concat();
    assert_eq!(value(Cmvn::parse(&written)), Some(cmvn));
});
