//! The thread that ends streams which nobody ends.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use triton_backend::{Error, guard, verbose, warn};

use super::endings::{Endings, Seen};
use super::overdue::{Overdue, Stream};
use super::table::Table;

/// How often idle streams are looked for. A server that stops does not say it.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How much longer than the server a state waits: a request that kept its sequence alive may have queued this long.
const QUEUE_MARGIN: Duration = Duration::from_secs(60);
/// How often a server that starts is looked at: the steps behind are to be known when the first streams come.
const STARTS_WITHIN: Duration = Duration::from_millis(20);

/// A thread that looks for idle streams until this is dropped, which is when the server finalises the model: it asks the
/// server, which may be gone later, whatever still holds the streams then.
pub(super) struct Sweeper {
    overdue: Arc<Overdue>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    /// Streams idle for longer than the server allows, `idle`, go when nothing of them can be queued any more; when the server stops,
    /// after `patience`.
    pub(super) fn start<S: Send + 'static>(
        table: Arc<Table<S>>,
        endings: Arc<Endings>,
        overdue: Arc<Overdue>,
        idle: Duration,
        patience: Duration,
    ) -> Result<Self, Error> {
        let waited_for = Arc::clone(&overdue);
        let thread = std::thread::Builder::new()
            .name("funasr-sweep".to_owned())
            .spawn(move || {
                // At once: a model that is loaded anew may have its ensemble already.
                let mut due = Instant::now();
                while waited_for.wait(due).is_some() {
                    let swept = guard(|| {
                        end_overdue(&waited_for, &endings);
                        if Instant::now() >= due {
                            due = Instant::now() + SWEEP_EVERY;
                            if sweep(&table, &endings, idle, patience) == Seen::Starting {
                                due = Instant::now() + STARTS_WITHIN;
                            }
                        }
                        Ok(())
                    });
                    if let Err(error) = swept {
                        warn!("model '{}': {error}", endings.model());
                    }
                }
                // What states end where they are dropped, they end through the server.
                table.clear();
            })
            .map_err(|error| Error::internal(format!("no thread could be started: {error}")))?;
        Ok(Self {
            overdue,
            thread: Some(thread),
        })
    }
}

fn end_overdue(overdue: &Overdue, endings: &Arc<Endings>) {
    for stream in overdue.take(|id| endings.is_held_behind(id)) {
        let Stream {
            id, done, is_lost, ..
        } = stream;
        if is_lost {
            endings.end_behind(id, done);
        } else {
            // Its END went through all steps: nothing of it is left to overtake.
            done();
        }
    }
}

fn sweep<S>(table: &Table<S>, endings: &Arc<Endings>, idle: Duration, patience: Duration) -> Seen {
    let seen = endings.look();
    let stopping = seen == Seen::Stopping;
    table.forget_idle(idle);
    let (swept, left) = table.sweep(if stopping {
        patience
    } else {
        idle + QUEUE_MARGIN
    });
    if !swept.is_empty() {
        verbose!(
            "freed the state of {} idle streams; {left} are left",
            swept.len()
        );
    }
    if stopping {
        for id in swept {
            endings.end_everywhere(id);
        }
    }
    seen
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.overdue.stop();
        if let Some(thread) = self.thread.take() {
            // A panic in it is logged where it happens.
            let _ = thread.join();
        }
    }
}
