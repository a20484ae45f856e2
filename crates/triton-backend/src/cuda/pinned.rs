//! Page-locked host memory, which a GPU reads and writes by itself.
//!
//! Locking pages takes long, and what is locked the system lacks elsewhere. So it is kept for the next tensor, in sizes that fit
//! many, and there is a limit to all of it: what comes after that goes through ordinary memory, which the runtime copies once
//! more.

use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::device::OnDevice;
use super::runtime::{HOST_ALLOC_PORTABLE, Runtime};
use crate::Error;

/// As much as the server's own pool has by default (`--pinned-memory-pool-byte-size`).
pub(crate) const DEFAULT_LIMIT: usize = 256 << 20;

/// The smallest piece: a page.
const SMALLEST: usize = 4096;

/// A piece of page-locked memory, aligned to a page. It goes back to the pool when it is dropped.
pub(crate) struct Pinned(ManuallyDrop<Piece>);

struct Piece {
    runtime: &'static Runtime,
    base: NonNull<c_void>,
    size: usize,
    /// The device that was current when it was made.
    device: c_int,
}

// SAFETY: owned memory.
unsafe impl Send for Piece {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Piece {}

struct Pool {
    limit: usize,
    /// Bytes of all pieces, idle or not.
    held: usize,
    idle: Vec<Piece>,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    limit: DEFAULT_LIMIT,
    held: 0,
    idle: Vec::new(),
});

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many bytes there may be of it; 0 for none.
pub(crate) fn set_limit(bytes: usize) {
    pool().limit = bytes;
}

/// A piece of at least `size` bytes, for copies from or to `device`. It holds what it held before.
///
/// None if the limit is reached or the system gives none: ordinary memory does as well, but for the time.
pub(crate) fn pinned(size: usize, device: i32) -> Option<Pinned> {
    let size = size.checked_next_power_of_two()?.max(SMALLEST);
    let runtime = Runtime::get().ok()?;
    let mut unfit = Vec::new();
    {
        let mut pool = pool();
        if let Some(index) = pool.idle.iter().position(|piece| piece.size == size) {
            return Some(Pinned(ManuallyDrop::new(pool.idle.swap_remove(index))));
        }
        // What is idle makes room, but only if that is enough.
        let used: usize = pool.held - pool.idle.iter().map(|piece| piece.size).sum::<usize>();
        if used.checked_add(size)? > pool.limit {
            return None;
        }
        while pool.held + size > pool.limit
            && let Some(piece) = pool.idle.pop()
        {
            pool.held -= piece.size;
            unfit.push(piece);
        }
        // Before it is there: locking pages takes long, and is not done under the lock.
        pool.held += size;
    }
    drop(unfit);
    match Piece::new(runtime, size, device) {
        Ok(piece) => Some(Pinned(ManuallyDrop::new(piece))),
        Err(error) => {
            pool().held -= size;
            crate::verbose!("copies go through ordinary memory: {error}");
            None
        }
    }
}

impl Pinned {
    pub(crate) fn start(&self) -> *mut u8 {
        self.0.base.as_ptr().cast()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: not used after this.
        let piece = unsafe { ManuallyDrop::take(&mut self.0) };
        let mut pool = pool();
        if pool.held <= pool.limit {
            pool.idle.push(piece);
            return;
        }
        pool.held -= piece.size;
        // Not under the lock.
        drop(pool);
        drop(piece);
    }
}

impl Piece {
    fn new(runtime: &'static Runtime, size: usize, device: i32) -> Result<Self, Error> {
        // Else the runtime would make a context on whatever device is current.
        let _current = OnDevice::new(runtime, device)?;
        let mut base = ptr::null_mut();
        // SAFETY: a valid out pointer.
        let status = unsafe { (runtime.host_alloc)(&mut base, size, HOST_ALLOC_PORTABLE) };
        let what = format_args!("locking {size} bytes of memory for GPU {device}");
        runtime.check(status, what)?;
        let base = NonNull::new(base).ok_or_else(|| Error::internal("no memory was locked"))?;
        Ok(Self {
            runtime,
            base,
            size,
            device,
        })
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let freed = OnDevice::new(self.runtime, self.device).and_then(|_current| {
            // SAFETY: ours, under no copy, and not used after this.
            let status = unsafe { (self.runtime.free_host)(self.base.as_ptr()) };
            self.runtime.check(status, "freeing page-locked memory")
        });
        if let Err(error) = freed {
            crate::error!("{error}");
        }
    }
}

/// Frees what nobody uses.
pub(super) fn release_idle() {
    let idle = {
        let mut pool = pool();
        let idle = std::mem::take(&mut pool.idle);
        pool.held -= idle.iter().map(|piece| piece.size).sum::<usize>();
        idle
    };
    drop(idle);
}
