use super::*;

const LATER: Duration = Duration::from_secs(1);

/// What is known of a server's ensembles that begin with `first`, at one time after another.
struct Watched {
    known: Known,
    now: Instant,
}

impl Watched {
    fn new() -> Self {
        let known = Known::new();
        Self {
            known,
            now: Instant::now(),
        }
    }

    /// A second later, the server has these models and tells the configs of all but some. Returns the steps known.
    fn look(&mut self, ready: &[&str], untold: &[&str]) -> Vec<String> {
        self.now += LATER;
        let config_of = |model: &str| match untold.contains(&model) {
            true => Err(Error::internal("not now")),
            false => config(model),
        };
        let ready = ready.iter().map(|&name| name.to_owned()).collect();
        self.known
            .refresh(self.now, || Ok(Look::new("first", ready, config_of)))
            .unwrap();
        self.names()
    }

    fn names(&self) -> Vec<String> {
        let steps = self.known.steps();
        steps.iter().map(|step| step.name.clone()).collect()
    }
}

/// `ensemble` and `other` have `first`, `encoder` and a `search` of their own; `plain` has no sequences.
fn config(model: &str) -> Result<ModelConfig, Error> {
    let ensemble = |search: &str| {
        let steps = ["first", "plain", "encoder", search];
        let steps = steps.map(|step| format!(r#"{{"model_name": "{step}"}}"#));
        let steps = steps.join(",");
        format!(r#"{{"ensemble_scheduling": {{"step": [{steps}]}}}}"#)
    };
    ModelConfig::from_json(&match model {
        "ensemble" => ensemble("search"),
        "other" => ensemble("search2"),
        "plain" => "{}".to_owned(),
        _ => r#"{"sequence_batching": {}}"#.to_owned(),
    })
}

const STEPS: &[&str] = &["encoder", "first", "plain", "search"];
const ALL: &[&str] = &["encoder", "ensemble", "first", "plain", "search"];

#[test]
fn an_ensemble_that_is_loaded_after_its_steps_is_found_with_the_next_look() {
    let mut watched = Watched::new();
    assert!(watched.look(STEPS, &[]).is_empty());
    assert_eq!(watched.look(ALL, &[]), ["encoder", "search"]);
    // That one holds.
    assert_eq!(watched.look(&[], &[]), ["encoder", "search"]);
}

#[test]
fn steps_stay_known_while_their_ensemble_is_away() {
    let mut watched = Watched::new();
    watched.look(ALL, &[]);
    watched.now += HOLDS;
    assert_eq!(watched.look(STEPS, &[]), ["encoder", "search"]);
    // The look found nothing, so it does not hold. The steps themselves are gone: so are their streams.
    assert_eq!(watched.look(&["encoder", "first"], &[]), ["encoder"]);
    assert!(watched.look(&["first"], &[]).is_empty());
}

#[test]
fn a_look_at_another_ensemble_takes_no_steps_away() {
    let mut watched = Watched::new();
    watched.look(ALL, &[]);
    watched.now += HOLDS;
    let ready = [STEPS, &["other", "search2"]].concat();
    let steps = ["encoder", "search", "search2"];
    assert_eq!(watched.look(&ready, &[]), steps);
}

#[test]
fn a_config_that_could_not_be_had_is_asked_for_again() {
    for untold in ["search", "ensemble"] {
        let mut watched = Watched::new();
        watched.look(ALL, &[untold]);
        assert_eq!(watched.look(ALL, &[]), ["encoder", "search"]);
        watched.now += HOLDS;
        assert_eq!(watched.look(ALL, &[untold]), ["encoder", "search"]);
    }
}

#[test]
fn an_ensemble_whose_config_has_other_steps_now_takes_its_old_ones_along() {
    let mut watched = Watched::new();
    watched.look(ALL, &[]);
    watched.now += HOLDS + LATER;
    for (now_like, steps) in [("other", &["encoder", "search2"][..]), ("plain", &[])] {
        let config_of = |model: &str| match model {
            "ensemble" => config(now_like),
            _ => config(model),
        };
        let ready = ALL.iter().map(|&name| name.to_owned()).collect();
        let mut known = watched.known.lock();
        known.learn(Look::new("first", ready, config_of), watched.now);
        drop(known);
        assert_eq!(watched.names(), steps);
    }
}

#[test]
fn a_start_does_not_wait_for_a_look() {
    let mut watched = Watched::new();
    watched.look(ALL, &[]);
    let known = &watched.known;
    let error = known.refresh(watched.now + HOLDS, || {
        // Under the lock this would never end.
        assert!(known.0.try_lock().is_ok());
        Err(Error::internal("the server stops"))
    });
    assert!(error.is_err());
    assert_eq!(watched.names(), ["encoder", "search"]);
}
