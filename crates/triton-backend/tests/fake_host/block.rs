//! Memory of tensors, in all the places where a server has it.

use std::ptr::{self, NonNull};

use super::Memory;

/// A tensor's memory.
pub(super) struct Block {
    pages: Pages,
    /// Where the tensor begins.
    offset: usize,
    size: usize,
}

enum Pages {
    Cpu(Vec<u64>),
    Gpu(Gpu),
}

/// Pages that end the process when it touches them: GPU memory, which only the (stand-in for the) CUDA runtime can copy.
struct Gpu {
    base: NonNull<u8>,
    size: usize,
}

// Owned memory.
unsafe impl Send for Gpu {}
unsafe impl Sync for Gpu {}

impl Block {
    /// Garbage, as in a server's memory.
    pub(super) fn new(size: usize, memory: Memory) -> Self {
        let pages = match memory {
            Memory::Gpu(_) => Pages::Gpu(Gpu::new(size)),
            _ => Pages::Cpu(vec![0xAAAA_AAAA_AAAA_AAAA; size.div_ceil(8) + 1]),
        };
        let offset = usize::from(memory == Memory::Odd);
        Self {
            pages,
            offset,
            size,
        }
    }

    pub(super) fn holding(bytes: &[u8], memory: Memory) -> Self {
        let mut block = Self::new(bytes.len(), memory);
        let (to, size) = (block.start(), block.size);
        block.open(|| unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, size) });
        block
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn start(&mut self) -> *mut u8 {
        let base = match &mut self.pages {
            Pages::Cpu(memory) => memory.as_mut_ptr().cast(),
            Pages::Gpu(gpu) => gpu.base.as_ptr(),
        };
        unsafe { base.add(self.offset) }
    }

    /// What is in it, wherever it is.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let base: *const u8 = match &self.pages {
            Pages::Cpu(memory) => memory.as_ptr().cast(),
            Pages::Gpu(gpu) => gpu.base.as_ptr(),
        };
        self.open(|| {
            unsafe { std::slice::from_raw_parts(base.add(self.offset), self.size) }.to_vec()
        })
    }

    fn open<T>(&self, body: impl FnOnce() -> T) -> T {
        let Pages::Gpu(gpu) = &self.pages else {
            return body();
        };
        gpu.protect(libc::PROT_READ | libc::PROT_WRITE);
        let result = body();
        gpu.protect(libc::PROT_NONE);
        result
    }
}

/// Writes to GPU memory, as its kernels do.
pub(super) unsafe fn write_on_gpu(to: *mut u8, bytes: &[u8]) {
    let open = libc::PROT_READ | libc::PROT_WRITE;
    unsafe {
        protect_pages(to, bytes.len(), open);
        ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        protect_pages(to, bytes.len(), libc::PROT_NONE);
    }
}

/// Reads GPU memory, as its kernels do.
pub(super) unsafe fn read_on_gpu(from: *const u8, size: usize) -> Vec<u8> {
    unsafe {
        protect_pages(from, size, libc::PROT_READ);
        let bytes = std::slice::from_raw_parts(from, size).to_vec();
        protect_pages(from, size, libc::PROT_NONE);
        bytes
    }
}

unsafe fn protect_pages(start: *const u8, size: usize, protection: i32) {
    const PAGE: usize = 4096;
    let before = start.addr() % PAGE;
    let page = start.wrapping_sub(before).cast_mut().cast();
    let changed = unsafe { libc::mprotect(page, before + size, protection) };
    assert_eq!(changed, 0);
}

impl Gpu {
    fn new(size: usize) -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let size = size.max(1);
        let base = unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED);
        Self {
            base: NonNull::new(base.cast()).unwrap(),
            size,
        }
    }

    fn protect(&self, protection: i32) {
        let changed = unsafe { libc::mprotect(self.base.as_ptr().cast(), self.size, protection) };
        assert_eq!(changed, 0);
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.size) };
    }
}
