//! Threads for work that the server's own threads should not be held up with.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use triton_backend::{Error, error, guard};

type Job = Box<dyn FnOnce() + Send>;

/// A few threads that run jobs in the order they come. They end when the pool is dropped and its jobs are done.
///
/// The channel has no limit of its own: whoever hands in jobs limits them. A pipeline's jobs each end a call of a
/// [queue](crate::pipelines::scheduler::queue::Queue), which counts as under way until its job has settled it, so there are never more
/// than the queues' calls under way together; or they decode a request that its door has let in.
pub(crate) struct Pool {
    jobs: Sender<Job>,
}

impl Pool {
    /// A pool of `threads` threads.
    pub(crate) fn new(threads: usize) -> Result<Self, Error> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("funasr-{number}"))
                .spawn(move || work(&queue))
                .map_err(|error| Error::internal(format!("no thread could be started: {error}")))?;
        }
        Ok(Self { jobs })
    }

    /// Runs `job` on one of the threads.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The threads live as long as this sender; were they gone, the job is dropped, which ends its requests.
        let _ = self.jobs.send(Box::new(job));
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        let outcome = guard(|| {
            job();
            Ok(())
        });
        if let Err(error) = outcome {
            error!("a job failed: {error}");
        }
    }
}
