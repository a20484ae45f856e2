//! What to do when a chunk was not answered.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::triton::CallError;

/// How long a stream waits for a server that can take it, once its own does not.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long until a server is asked once more.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a stream cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LiveError {
    /// The model takes samples of one rate alone.
    #[error("{model} takes samples of 16000 Hz, not of {rate}")]
    Rate {
        /// The model's name.
        model: String,
        /// The client's samples a second.
        rate: u32,
    },
    /// A chunk took too long.
    #[error("no answer within {seconds} s")]
    Late {
        /// How long a chunk may take.
        seconds: u64,
    },
    /// What the last server said.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The same chunk to the same server: it has no room now, and the stream is as it was.
    Again,
    /// All that is kept to a server as a new sequence.
    Move,
}

/// How a chunk was failed so far.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    /// Servers that went or refused; others are asked before they are asked again.
    avoided: Vec<String>,
    refusals: usize,
    /// How many chunks of what is kept a server has answered at most.
    best: usize,
}

impl Trouble {
    /// Servers to be asked last.
    pub(super) fn avoided(&self) -> &[String] {
        &self.avoided
    }

    /// A server has answered so many of the chunks that are kept. Where that is more than ever, it is not waiting that took the time.
    pub(super) fn answered(&mut self, count: usize) {
        if count > self.best {
            self.best = count;
            self.since = None;
        }
    }

    /// What to do about an error; waits where a server has to be waited for.
    ///
    /// `server` is where it comes from, `begun`: it had answered chunks of this sequence before; `between`: the chunk is neither a sequence's first nor
    /// its last, which end it when they are refused.
    ///
    /// # Errors
    /// The same if nothing may help.
    pub(super) async fn remedy(
        &mut self,
        error: LiveError,
        server: Option<&str>,
        begun: bool,
        between: bool,
    ) -> Result<Remedy, LiveError> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let LiveError::Call(cause) = &error else {
            return Err(error);
        };
        if since.elapsed() > PATIENCE {
            return Err(error);
        }
        match kind(cause) {
            Kind::NoRoom => {
                sleep(PAUSE).await;
                Ok(if between { Remedy::Again } else { Remedy::Move })
            }
            Kind::Gone => {
                self.avoided.extend(server.map(str::to_owned));
                Ok(Remedy::Move)
            }
            Kind::Nobody => {
                // Those that failed before may have come back.
                self.avoided.clear();
                sleep(PAUSE).await;
                Ok(Remedy::Move)
            }
            // A server that was started anew, or whose stream was idle for too long, knows nothing of it.
            Kind::Other if begun && self.refusals == 0 => {
                self.refusals += 1;
                Ok(Remedy::Move)
            }
            Kind::Other => Err(error),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// The server has no room at this moment.
    NoRoom,
    /// It has gone, is going, or its model is.
    Gone,
    /// There is no server.
    Nobody,
    Other,
}

fn kind(error: &CallError) -> Kind {
    match error {
        CallError::Gone { .. } => Kind::Gone,
        CallError::NoServer { .. } => Kind::Nobody,
        // The pipelines' word for it: docs/configuration.md, Overload.
        CallError::Refused {
            code: Code::Unavailable,
            message,
        } if message.contains("overloaded:") => Kind::NoRoom,
        CallError::Refused {
            code: Code::Unavailable | Code::NotFound,
            ..
        } => Kind::Gone,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code, message: &str) -> LiveError {
        let message = message.to_owned();
        CallError::Refused { code, message }.into()
    }

    fn after(errors: &[LiveError], begun: bool) -> Vec<Option<Remedy>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let mut trouble = Trouble::default();
        runtime.block_on(async {
            let mut remedies = Vec::new();
            for error in errors {
                let remedy = trouble.remedy(error.clone(), Some("a:1"), begun, true);
                remedies.push(remedy.await.ok());
            }
            remedies
        })
    }

    #[test]
    fn who_answers_is_not_waited_for() {
        let mut trouble = Trouble {
            since: Some(Instant::now()),
            ..Trouble::default()
        };
        trouble.answered(3);
        assert_eq!(trouble.since, None);
        trouble.since = Some(Instant::now());
        trouble.answered(3);
        assert!(trouble.since.is_some());
    }

    #[test]
    fn a_stream_moves_where_its_server_goes_or_forgot_it() {
        let gone = LiveError::Call(CallError::Gone {
            server: "a:1".to_owned(),
            reason: "reset".to_owned(),
        });
        let stopping = refused(Code::Unavailable, "Server is stopping");
        let unloaded = refused(Code::NotFound, "unknown model");
        let (moves, again) = (Some(Remedy::Move), Some(Remedy::Again));
        assert_eq!(after(&[gone, stopping, unloaded], false), [moves; 3]);
        let full = refused(Code::Unavailable, "overloaded: 9 rows are pending");
        assert_eq!(after(&[full], true), [again]);
        let forgotten = refused(Code::InvalidArgument, "must specify the START flag");
        let twice = [forgotten.clone(), forgotten];
        // Once more, but not for ever; and not where the client's first chunk is at fault.
        assert_eq!(after(&twice, true), [moves, None]);
        assert_eq!(after(&twice[..1], false), [None]);
        let late = LiveError::Late { seconds: 1 };
        assert_eq!(after(&[late], true), [None]);
    }
}
