//! What belongs to a request wherever it goes: its id, and the trace that it is part of.
//!
//! It is carried by the task that works on the request, so nothing has to be passed through to the calls of the servers.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};

use crate::traces::{Traced, Traces};

/// Where the id comes from and is told.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A client's id is passed on to servers and logs: no longer than this, and of plain characters.
const LONGEST_ID: usize = 64;

tokio::task_local! {
    static CURRENT: Trail;
}

/// A request's id and trace. As long as a clone of it lives, the request goes on.
#[derive(Debug, Clone)]
pub(crate) struct Trail {
    pub(crate) id: Arc<str>,
    pub(crate) traced: Traced,
}

impl Trail {
    /// Of a request that begins; `name` is what its span is called.
    pub(crate) fn begin(traces: &Traces, headers: &HeaderMap, name: &str) -> Self {
        let given = headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok());
        let id: Arc<str> = match given.filter(|given| is_id(given)) {
            Some(given) => given.into(),
            None => made_up().into(),
        };
        Self {
            traced: traces.request(headers, name, &id),
            id,
        }
    }

    /// Works on the request.
    pub(crate) fn follow<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// The trail of the request that this task works on.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }
}

fn is_id(given: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    (1..=LONGEST_ID).contains(&given.len()) && given.chars().all(plain)
}

/// As OpenAI's look.
fn made_up() -> String {
    let mut random = [0; 16];
    // Without a source of randomness ids are alike, and nothing else is wrong.
    let _ = getrandom::fill(&mut random);
    format!("req_{:032x}", u128::from_le_bytes(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_id_is_kept_where_it_is_one() {
        let id = |given: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(given) = given {
                headers.insert(REQUEST_ID, given.parse().unwrap());
            }
            Trail::begin(&Traces::off(), &headers, "GET /").id
        };
        assert_eq!(&*id(Some("9f-A_b.c:1")), "9f-A_b.c:1");
        let longest: &'static str =
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        assert_eq!(longest.len(), LONGEST_ID + 1);
        for other in [None, Some(""), Some("a b"), Some("{}"), Some(longest)] {
            let made = id(other);
            assert!(made.starts_with("req_") && made.len() == 36, "{made}");
            assert_ne!(made, id(other));
        }
    }

    #[tokio::test]
    async fn a_task_knows_its_own() {
        assert!(Trail::current().is_none());
        let trail = Trail::begin(&Traces::off(), &HeaderMap::new(), "GET /");
        let id = Arc::clone(&trail.id);
        let seen = trail.follow(async { Trail::current().map(|own| own.id) });
        assert_eq!(seen.await, Some(id));
    }
}
