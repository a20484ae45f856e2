//! One server: whether it is ready, which models it has, and how much of ours it is working on.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use super::client::Client;
use super::error::CallError;
use super::model::{self, Model};
use crate::log;
use crate::metrics::Metrics;

/// How often a server is asked whether it is ready, and what it has.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it is waited for an answer to such a question.
const PATIENCE: Duration = Duration::from_secs(5);
/// A server whose name was nobody's at so many looks in a row gets nothing new, though a connection to it may be open: so Kubernetes'
/// headless services tell of one that is about to go. More than one look, since a resolver may fail for a moment.
const NAMELESS_LOOKS: usize = 3;
/// A server that did not answer so often in a row is not ready. Once is no sign: it may be busy, as is one on whose machine another one starts.
const LATE_LOOKS: usize = 3;
/// Configs change without another version when a model is loaded anew: they are read again after so many looks.
const LOOKS_OF_A_CONFIG: usize = 15;

/// The models that clients call, by name.
pub(super) type Models = Arc<BTreeMap<String, Model>>;

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    /// `host:port` of its gRPC endpoint.
    pub(crate) address: String,
    pub(super) client: Client,
    /// What it has; `None` while it is not ready.
    models: RwLock<Option<Models>>,
    outstanding: AtomicUsize,
}

impl Server {
    /// # Errors
    /// If it is no address.
    pub(super) fn new(address: &str) -> Result<Self, tonic::transport::Error> {
        Ok(Self {
            address: address.to_owned(),
            client: Client::new(address)?,
            models: RwLock::new(None),
            outstanding: AtomicUsize::new(0),
        })
    }

    /// Its models, if it is ready.
    pub(super) fn models(&self) -> Option<Models> {
        let models = self.models.read();
        models.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests of ours, and streams, that it is working on.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Whether it takes requests.
    pub(crate) fn is_ready(&self) -> bool {
        self.models().is_some()
    }

    /// It is not ready until the next look says otherwise.
    pub(super) fn has_gone(&self) {
        self.is_now(None);
    }

    fn is_now(&self, models: Option<Models>) {
        let mut own = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let names = |models: &Models| models.keys().cloned().collect::<Vec<_>>().join(", ");
        match (&*own, &models) {
            (None, Some(found)) => log::info(format_args!(
                "{} is ready; it has {}",
                self.address,
                names(found)
            )),
            (Some(_), None) => log::warn(format_args!("{} is not ready", self.address)),
            (Some(before), Some(found)) if before.keys().ne(found.keys()) => {
                log::info(format_args!("{} now has {}", self.address, names(found)));
            }
            _ => {}
        }
        *own = models;
    }

    /// Looks after the server for ever.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut known = Known::default();
        let mut name = Name::default();
        let mut late = 0;
        let mut told = String::new();
        loop {
            let look = known.look(&self.client);
            let (look, resolved) = tokio::join!(look, timeout(PATIENCE, resolves(&self.address)));
            let is_late = matches!(&look, Err(status) if status.code() == Code::DeadlineExceeded);
            late = if is_late { late + 1 } else { 0 };
            match look {
                _ if name.is_lost(resolved.unwrap_or(false)) => self.is_now(None),
                Ok(models) => self.is_now(models),
                Err(status) if !is_late || late >= LATE_LOOKS => {
                    self.is_now(None);
                    self.tell(&status, &mut told);
                }
                Err(_) => {}
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Says, once, why a server that answers cannot be looked at: it restricts its APIs, say.
    fn tell(&self, status: &Status, told: &mut String) {
        let was_answered = status.source().is_none();
        if was_answered && told != status.message() {
            log::warn(format_args!("{} says: {}", self.address, status.message()));
            status.message().clone_into(told);
        }
    }

    /// One more request for it, until the lease is dropped.
    pub(super) fn lease(self: &Arc<Self>) -> Lease {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        Lease(Arc::clone(self))
    }
}

/// A request that a server is working on.
#[derive(Debug)]
pub(super) struct Lease(pub(super) Arc<Server>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether an address, `host:port`, has a host. Numbers always do.
async fn resolves(address: &str) -> bool {
    lookup_host(address)
        .await
        .is_ok_and(|mut found| found.next().is_some())
}

/// How often in a row a server's name was nobody's.
#[derive(Default)]
struct Name {
    missed: usize,
}

impl Name {
    fn is_lost(&mut self, resolved: bool) -> bool {
        self.missed = if resolved { 0 } else { self.missed + 1 };
        self.missed >= NAMELESS_LOOKS
    }
}

/// An answer, if it comes in time. Each of a look's has its own: many models have many configs.
async fn soon<T>(answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = |_| Err(Status::deadline_exceeded("no answer yet"));
    timeout(PATIENCE, answer).await.unwrap_or_else(late)
}

/// What the last look found.
#[derive(Default)]
struct Known {
    /// Names and versions of all models.
    index: Vec<(String, String)>,
    models: Models,
    age: usize,
}

impl Known {
    /// The server's models, or nothing if it is not ready.
    async fn look(&mut self, client: &Client) -> Result<Option<Models>, Status> {
        if !soon(client.ready()).await? {
            return Ok(None);
        }
        let models = soon(client.models()).await?;
        let mut index: Vec<_> = models
            .into_iter()
            .map(|own| (own.name, own.version))
            .collect();
        index.sort();
        self.age += 1;
        if index != self.index || self.age >= LOOKS_OF_A_CONFIG {
            let mut names: Vec<_> = index.iter().map(|(name, _)| name).collect();
            names.dedup();
            let mut configs = Vec::new();
            for name in names {
                match soon(client.config(name)).await {
                    Ok(config) => configs.push(config),
                    Err(status) if status.code() == Code::DeadlineExceeded => return Err(status),
                    // One that was unloaded in between is not there.
                    Err(_) => {}
                }
            }
            self.models = Arc::new(model::models(&configs));
            self.index = index;
            self.age = 0;
        }
        Ok(Some(Arc::clone(&self.models)))
    }
}

/// A server whose connection broke gets no more requests until it has answered a look.
pub(super) fn note(server: &Server, error: &CallError, metrics: &Metrics) {
    if matches!(error, CallError::Gone { .. }) {
        metrics.gone.with_label_values(&[&server.address]).inc();
        server.has_gone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lost_when_it_is_missed_several_times_in_a_row() {
        let mut name = Name::default();
        let lost = [false, false, true, false, false, false, false, true]
            .map(|resolved| name.is_lost(resolved));
        assert_eq!(lost, [false, false, false, false, false, true, true, false]);
    }

    #[tokio::test]
    async fn numbers_have_a_host_and_an_unknown_name_has_none() {
        assert!(resolves("127.0.0.1:8001").await);
        assert!(resolves("[::1]:8001").await);
        // Never anybody's: RFC 6761.
        assert!(!resolves("server.invalid:8001").await);
    }
}
