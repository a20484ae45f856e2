//! Memory that takes long to get: page-locked host memory, which a GPU reads and writes by itself, and memory of GPUs.
//!
//! What is not used any more is kept for the next tensor, in sizes that fit many, and there is a limit to all of either kind:
//! what the host has besides, and the models on the GPU need theirs. Beyond it ordinary memory does as well, but for the time.

use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::device::OnDevice;
use super::runtime::{HOST_ALLOC_PORTABLE, Runtime};
use crate::Error;

/// The smallest piece: a page.
const SMALLEST: usize = 4096;

/// What memory is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// The host's, which stays where it is: the same for all GPUs.
    PageLocked,
    /// A GPU's, which nothing but a copy may touch.
    Gpu,
}

/// A piece of such memory, aligned to 256 bytes at least. It goes back to its pool when it is dropped.
#[derive(Debug)]
pub(crate) struct Piece(ManuallyDrop<Memory>);

struct Memory {
    runtime: &'static Runtime,
    kind: Kind,
    base: NonNull<c_void>,
    size: usize,
    /// The GPU whose it is; of page-locked memory, the one that it was made for.
    device: c_int,
}

// SAFETY: owned memory.
unsafe impl Send for Memory {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Memory {}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kind, size, device, ..
        } = self;
        write!(f, "{size} bytes of {kind:?}, {device}")
    }
}

struct Pool {
    limit: usize,
    /// Bytes of all pieces, idle or not.
    held: usize,
    idle: Vec<Memory>,
    /// When the system had no more to give.
    refused: Option<Instant>,
}

/// So long nothing new is asked for where there was nothing: to be told so takes a GPU longer than a copy.
const REFUSAL: Duration = Duration::from_secs(1);

static PAGE_LOCKED: Mutex<Pool> = Mutex::new(Pool::EMPTY);
static GPUS: Mutex<Pool> = Mutex::new(Pool::EMPTY);

impl Kind {
    fn pool(self) -> MutexGuard<'static, Pool> {
        let pool = match self {
            Self::PageLocked => &PAGE_LOCKED,
            Self::Gpu => &GPUS,
        };
        pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes there may be of it unless something else is said.
    pub(crate) fn default_limit(self) -> usize {
        match self {
            // As much as the server's own pool has (`--pinned-memory-pool-byte-size`).
            Self::PageLocked => 256 << 20,
            // What is taken from models is for the operator to say.
            Self::Gpu => 0,
        }
    }

    /// Sets how many bytes there may be of it, on all GPUs together; 0 for none.
    pub(crate) fn set_limit(self, bytes: usize) {
        let mut pool = self.pool();
        pool.limit = bytes;
        pool.refused = None;
    }

    /// Whether there can be any.
    pub(crate) fn is_allowed(self) -> bool {
        let limit = self.pool().limit;
        limit > 0 && Runtime::get().is_ok()
    }

    /// A piece of at least `size` bytes, of `device` or for copies from or to it. It holds what it held before.
    ///
    /// None if the limit is reached or the system gives none.
    pub(crate) fn take(self, size: usize, device: i32) -> Option<Piece> {
        let size = rounded(size)?;
        let runtime = Runtime::get().ok()?;
        let mut unfit = Vec::new();
        {
            let mut pool = self.pool();
            let fits = |idle: &Memory| {
                idle.size == size && (self == Self::PageLocked || idle.device == device)
            };
            if let Some(index) = pool.idle.iter().position(fits) {
                return Some(Piece(ManuallyDrop::new(pool.idle.remove(index))));
            }
            if pool.refused.is_some_and(|when| when.elapsed() < REFUSAL) {
                return None;
            }
            // What is idle makes room, but only if that is enough.
            let used: usize = pool.held - pool.idle.iter().map(|idle| idle.size).sum::<usize>();
            if used.checked_add(size)? > pool.limit {
                return None;
            }
            while pool.held + size > pool.limit && !pool.idle.is_empty() {
                // What was not used for the longest.
                let idle = pool.idle.remove(0);
                pool.held -= idle.size;
                unfit.push(idle);
            }
            // Before it is there: to get it takes long, and is not done under the lock.
            pool.held += size;
        }
        drop(unfit);
        let memory = Memory::new(runtime, self, size, device).or_else(|_| {
            // What is idle has other sizes, and may be what is lacking.
            self.release_idle();
            Memory::new(runtime, self, size, device)
        });
        match memory {
            Ok(memory) => Some(Piece(ManuallyDrop::new(memory))),
            Err(error) => {
                let mut pool = self.pool();
                pool.held -= size;
                pool.refused = Some(Instant::now());
                drop(pool);
                crate::verbose!("ordinary memory has to do: {error}");
                None
            }
        }
    }

    /// Frees what nobody uses.
    pub(super) fn release_idle(self) {
        let idle = {
            let mut pool = self.pool();
            let idle = std::mem::take(&mut pool.idle);
            pool.held -= idle.iter().map(|idle| idle.size).sum::<usize>();
            idle
        };
        drop(idle);
    }
}

impl Pool {
    const EMPTY: Self = Self {
        limit: 0,
        held: 0,
        idle: Vec::new(),
        refused: None,
    };
}

/// The next size that pieces have: four from a power of two to the next.
fn rounded(size: usize) -> Option<usize> {
    let size = size.max(SMALLEST);
    let step = 1 << (size.ilog2() - 2);
    size.checked_next_multiple_of(step)
}

impl Piece {
    pub(crate) fn start(&self) -> *mut u8 {
        self.0.base.as_ptr().cast()
    }

    /// The GPU whose it is.
    pub(crate) fn device(&self) -> i32 {
        self.0.device
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: not used after this.
        let memory = unsafe { ManuallyDrop::take(&mut self.0) };
        let mut pool = memory.kind.pool();
        if pool.held <= pool.limit {
            pool.idle.push(memory);
            return;
        }
        pool.held -= memory.size;
        // Not under the lock.
        drop(pool);
        drop(memory);
    }
}

impl Memory {
    fn new(runtime: &'static Runtime, kind: Kind, size: usize, device: i32) -> Result<Self, Error> {
        // Page-locked memory as well: else the runtime would make a context on whatever device is current.
        let _current = OnDevice::new(runtime, device)?;
        let mut base = ptr::null_mut();
        // SAFETY: a valid out pointer.
        let status = unsafe {
            match kind {
                Kind::PageLocked => (runtime.host_alloc)(&mut base, size, HOST_ALLOC_PORTABLE),
                Kind::Gpu => (runtime.malloc)(&mut base, size),
            }
        };
        let what = match kind {
            Kind::PageLocked => "locking memory for",
            Kind::Gpu => "getting memory of",
        };
        runtime.check(status, format_args!("{what} GPU {device}, {size} bytes,"))?;
        let base = NonNull::new(base).ok_or_else(|| Error::internal("the GPU gave no memory"))?;
        Ok(Self {
            runtime,
            kind,
            base,
            size,
            device,
        })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let freed = OnDevice::new(self.runtime, self.device).and_then(|_current| {
            let base = self.base.as_ptr();
            // SAFETY: ours, under no copy, and not used after this.
            let status = unsafe {
                match self.kind {
                    Kind::PageLocked => (self.runtime.free_host)(base),
                    Kind::Gpu => (self.runtime.free)(base),
                }
            };
            self.runtime.check(status, "freeing memory")
        });
        if let Err(error) = freed {
            crate::error!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_by_a_quarter_at_most() {
        assert_eq!(rounded(0), Some(4096));
        assert_eq!(rounded(4097), Some(5120));
        assert_eq!(rounded(16 * 20_480), Some(16 * 20_480));
        assert_eq!(rounded(usize::MAX), None);
        for size in (1..1 << 20).step_by(997) {
            let rounded = rounded(size).unwrap();
            assert!(rounded >= size && (rounded == 4096 || rounded * 4 <= size * 5));
            assert!(rounded.is_multiple_of(256));
        }
    }
}
