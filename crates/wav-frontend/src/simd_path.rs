//! The instruction sets that the front end is compiled for.

use std::fmt;
use std::str::FromStr;

use pulp::Simd;

use crate::error::OptionsError;
use crate::error::invalid;
use crate::lanes::{Isa, Portable};

/// An instruction set that features can be computed with.
///
/// [`Frontend`](crate::Frontend) takes the fastest one that the CPU has; another is for tests and measurements.
///
/// ```
/// use wav_frontend::{Frontend, FrontendOptions, SimdPath};
///
/// let frontend = Frontend::new(FrontendOptions::default(), None)?;
/// assert_eq!(frontend.simd_path(), SimdPath::fastest());
/// let frontend = frontend.with_simd_path("portable".parse()?)?;
/// assert_eq!(frontend.simd_path(), SimdPath::Portable);
/// # Ok::<(), wav_frontend::FrontendError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimdPath {
    /// x86-64 with AVX-512 F, BW, CD, DQ and VL: sixteen frames side by side.
    Avx512,
    /// x86-64 with AVX2 and FMA: eight frames side by side.
    Avx2,
    /// AArch64: four frames side by side.
    Neon,
    /// What the compiler makes of plain arithmetic on any CPU.
    Portable,
}

impl SimdPath {
    /// Every path, the fastest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// The fastest path that this CPU has.
    pub fn fastest() -> Self {
        let mut available = Self::ALL.into_iter().filter(|path| path.is_available());
        available.next().unwrap_or(Self::Portable)
    }

    /// Whether this CPU has it.
    pub fn is_available(self) -> bool {
        self.machine().is_some()
    }

    /// As it is written: `avx512`, `avx2`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    pub(crate) fn machine(self) -> Option<Machine> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map(Machine::Avx512),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map(Machine::Avx2),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => pulp::aarch64::Neon::try_new().map(Machine::Neon),
            Self::Portable => Some(Machine::Portable),
            #[allow(unreachable_patterns, reason = "those of other architectures")]
            _ => None,
        }
    }
}

/// What shows that the CPU has a path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Machine {
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    Portable,
}

/// Work that is compiled for every instruction set, with all that it inlines.
pub(crate) trait Kernel {
    fn run<I: Isa>(self, isa: I);
}

impl Machine {
    /// Does the work in this machine's instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(isa) => Simd::vectorize(isa, Run { isa, kernel }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(isa) => Simd::vectorize(isa, Run { isa, kernel }),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(isa) => Simd::vectorize(isa, Run { isa, kernel }),
            Self::Portable => kernel.run(Portable),
        }
    }
}

struct Run<I, K> {
    isa: I,
    kernel: K,
}

impl<I: Isa, K: Kernel> pulp::WithSimd for Run<I, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.kernel.run(self.isa);
    }
}

impl fmt::Display for SimdPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SimdPath {
    type Err = OptionsError;

    /// Reads a path's [`name`](Self::name).
    fn from_str(name: &str) -> Result<Self, OptionsError> {
        let known = Self::ALL.into_iter().find(|path| path.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            invalid("simd path", format!("{name:?}"), format!("one of {names}"))
        })
    }
}
