use triton_backend::ErrorCode;

use super::*;

fn request(id: u64, start: bool, end: bool) -> Sequence {
    Sequence {
        id: CorrelationId::Number(id),
        start,
        end,
    }
}

fn start(id: u64) -> Sequence {
    request(id, true, false)
}

fn next(id: u64) -> Sequence {
    request(id, false, false)
}

fn end(id: u64) -> Sequence {
    request(id, false, true)
}

/// A state that tells when it is dropped.
#[derive(Debug, Clone)]
struct State(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Drop for State {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

struct Streams {
    table: Arc<Table<State>>,
    dropped: Arc<Mutex<Vec<&'static str>>>,
}

impl Streams {
    fn new() -> Self {
        Self {
            table: Arc::new(Table::new(Gauge::default())),
            dropped: Arc::default(),
        }
    }

    fn state(&self, name: &'static str) -> State {
        State(name, Arc::clone(&self.dropped))
    }

    fn lease(&self, sequence: &Sequence) -> Leased<State> {
        self.table.lease(sequence).unwrap()
    }

    fn begin(&self, id: u64, name: &'static str) {
        self.lease(&start(id)).lease.put_back(self.state(name));
    }

    fn error(&self, sequence: &Sequence) -> String {
        self.table.lease(sequence).err().unwrap().to_string()
    }

    fn dropped(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.dropped.lock().unwrap())
    }
}

#[test]
fn a_state_goes_from_request_to_request_until_the_last() {
    let streams = Streams::new();
    streams.begin(7, "seven");
    streams.begin(8, "eight");
    let Leased { lease, state, .. } = streams.lease(&next(7));
    assert_eq!(state.as_ref().unwrap().0, "seven");
    lease.put_back(state.unwrap());
    let Leased { lease, state, .. } = streams.lease(&end(7));
    assert!(lease.ends());
    lease.put_back(state.unwrap());
    assert_eq!(streams.dropped(), ["seven"]);
    assert_eq!(
        streams.error(&next(7)),
        "stream 7 is not known here: it ended, was idle for too long, or never began; begin it again with the START flag"
    );
}

#[test]
fn a_refused_request_leaves_its_stream_as_it_was() {
    let streams = Streams::new();
    streams.begin(7, "seven");
    let Leased { lease, state, .. } = streams.lease(&next(7));
    lease.refuse(state);
    assert_eq!(streams.lease(&next(7)).state.as_ref().unwrap().0, "seven");
}

#[test]
fn a_refused_start_leaves_no_stream_and_nothing_of_the_one_before() {
    let streams = Streams::new();
    streams.begin(7, "first caller's");
    let Leased {
        lease,
        state,
        replaced,
    } = streams.lease(&start(7));
    assert!(replaced && state.is_none());
    assert_eq!(streams.dropped(), ["first caller's"]);
    lease.refuse(state);
    for _ in 0..2 {
        assert_eq!(
            streams.error(&next(7)),
            "stream 7 is not known here: its first request was refused; begin it again with the START flag"
        );
    }
    // The last request ends what is not there, too.
    assert!(streams.error(&end(7)).contains("was refused"));
    assert!(streams.error(&next(7)).contains("it ended"));
}

#[test]
fn a_refused_end_ends_the_stream() {
    let streams = Streams::new();
    streams.begin(7, "seven");
    let Leased { lease, state, .. } = streams.lease(&end(7));
    lease.refuse(state);
    assert_eq!(streams.dropped(), ["seven"]);
    assert!(streams.error(&next(7)).contains("it ended"));
    assert!(!streams.lease(&start(7)).replaced);
}

#[test]
fn a_lease_of_an_older_generation_puts_nothing_back() {
    let streams = Streams::new();
    streams.begin(7, "old");
    let old = streams.lease(&next(7));
    let new = streams.lease(&start(7));
    assert!(new.replaced);
    old.lease.put_back(old.state.unwrap());
    assert_eq!(streams.dropped(), ["old"]);
    assert!(streams.error(&next(7)).contains("still under way"));
    new.lease.put_back(streams.state("new"));
    assert_eq!(streams.lease(&next(7)).state.as_ref().unwrap().0, "new");
}

#[test]
fn an_older_lease_that_is_lost_or_cancelled_does_not_end_the_new_stream() {
    let streams = Streams::new();
    streams.begin(7, "old");
    let old = streams.lease(&next(7));
    streams.begin(7, "new");
    old.lease.cancel();
    drop(old.state);
    let Leased { lease, state, .. } = streams.lease(&next(7));
    assert_eq!(state.as_ref().unwrap().0, "new");
    lease.put_back(state.unwrap());
    let newer = streams.lease(&next(7));
    streams.begin(7, "newest");
    drop(newer);
    assert_eq!(streams.lease(&next(7)).state.as_ref().unwrap().0, "newest");
}

#[test]
fn a_last_request_under_way_does_not_hinder_the_next_stream_of_its_id() {
    let streams = Streams::new();
    streams.begin(7, "old");
    let old = streams.lease(&end(7));
    streams.begin(7, "new");
    old.lease.put_back(old.state.unwrap());
    assert_eq!(streams.dropped(), ["old"]);
    assert_eq!(streams.lease(&next(7)).state.as_ref().unwrap().0, "new");
    // One request is a whole stream, and leaves nothing.
    let whole = streams.lease(&request(8, true, true));
    whole.lease.put_back(streams.state("whole"));
    assert!(streams.error(&next(8)).contains("it ended"));
}

#[test]
fn a_lost_or_cancelled_request_ends_its_stream_and_says_so() {
    let streams = Streams::new();
    streams.begin(7, "seven");
    drop(streams.lease(&next(7)));
    assert_eq!(streams.dropped(), ["seven"]);
    assert!(
        streams
            .error(&next(7))
            .contains("a request of it failed half way")
    );
    streams.begin(8, "eight");
    streams.lease(&next(8)).lease.cancel();
    assert!(
        streams
            .error(&next(8))
            .contains("a request of it was cancelled")
    );
}

#[test]
fn only_what_was_idle_for_too_long_is_swept_away() {
    let streams = Streams::new();
    let most = Duration::from_secs(5);
    for (id, name) in [(7, "old"), (8, "new"), (9, "busy")] {
        streams.begin(id, name);
    }
    let busy = streams.lease(&next(9));
    streams.lease(&start(10)).lease.refuse(None);
    let long_ago = Instant::now().checked_sub(2 * most).unwrap();
    for id in [7, 9, 10] {
        let mut inner = streams.table.lock();
        let entry = inner.entries.get_mut(&CorrelationId::Number(id)).unwrap();
        entry.since = long_ago;
    }
    let (mut swept, left) = streams.table.sweep(most);
    swept.sort_by_key(ToString::to_string);
    assert_eq!(swept, [CorrelationId::Number(10), CorrelationId::Number(7)]);
    assert_eq!(left, 2);
    assert_eq!(streams.dropped(), ["old"]);
    busy.lease.put_back(busy.state.unwrap());
    assert_eq!(streams.lease(&next(9)).state.as_ref().unwrap().0, "busy");
}

#[test]
fn all_states_go_when_the_table_is_cleared() {
    let streams = Streams::new();
    streams.begin(7, "idle");
    streams.begin(8, "busy");
    let busy = streams.lease(&next(8));
    streams.table.clear();
    assert_eq!(streams.dropped(), ["idle"]);
    // What comes back later stays nowhere.
    busy.lease.put_back(busy.state.unwrap());
    assert_eq!(streams.dropped(), ["busy"]);
}

#[test]
fn what_a_request_brings_is_read_beside_its_stream() {
    let streams = Streams::new();
    streams.begin(7, "seven");
    let read = |state: Option<&State>| Ok(state.map(|state| state.0));
    let (lease, state, brought) = streams.lease(&next(7)).read(false, read).unwrap();
    assert_eq!(brought, Some("seven"));
    lease.put_back(state.unwrap());
    // Refused: it is as it was.
    let refuse = |_: Option<&State>| Err::<(), _>(Error::invalid("no"));
    let refused = streams.lease(&next(7)).read(false, refuse);
    assert_eq!(refused.err().unwrap().to_string(), "no");
    // Taken back: nothing is read, and the stream is over.
    let unread = |_: Option<&State>| -> Result<(), Error> { panic!("it is read") };
    let cancelled = streams.lease(&next(7)).read(true, unread);
    assert_eq!(cancelled.err().unwrap().code(), ErrorCode::Cancelled);
    assert_eq!(streams.dropped(), ["seven"]);
    assert!(streams.error(&next(7)).contains("was cancelled"));
}

#[test]
fn streams_are_counted_from_their_first_request_to_their_last_answer() {
    let streams = Streams::new();
    let live = || streams.table.live.value();
    streams.begin(7, "seven");
    streams.begin(8, "eight");
    assert_eq!(live(), 2);
    // Begun again under its id, it is another one.
    streams.begin(8, "another eight");
    assert_eq!(live(), 2);
    let last = streams.lease(&end(7));
    assert_eq!(live(), 2);
    last.lease.put_back(streams.state("seven"));
    assert_eq!(live(), 1);
    // Cancelled, its id is remembered, but nobody speaks.
    streams.lease(&next(8)).lease.cancel();
    assert_eq!(live(), 0);
    drop(streams.lease(&start(9)).lease);
    assert_eq!(live(), 0);
    let whole = streams.lease(&request(10, true, true));
    assert_eq!(live(), 1);
    drop(whole);
    assert_eq!(live(), 0);
}

#[test]
fn streams_that_the_server_has_ended_are_not_counted_until_they_go_on() {
    let streams = Streams::new();
    let live = || streams.table.live.value();
    streams.begin(7, "seven");
    let busy = streams.lease(&start(8));
    std::thread::sleep(Duration::from_millis(5));
    streams.table.forget_idle(Duration::from_secs(1));
    assert_eq!(live(), 2);
    streams.table.forget_idle(Duration::from_millis(1));
    assert_eq!(live(), 1, "a request of 8 is under way");
    // One that was queued meanwhile.
    let Leased { lease, state, .. } = streams.lease(&next(7));
    assert_eq!(live(), 2);
    lease.put_back(state.unwrap());
    drop(busy);
    assert_eq!(live(), 1);
    streams.table.clear();
    assert_eq!(live(), 0);
}
