//! What a kernel that has to look at every byte is measured against: nothing but reading them.

use pulp::{Simd, WithSimd};

/// Independent sums: more than an addition takes cycles, so that no load ever waits for one.
const SUMS: usize = 16;

/// The sum of all values, as fast as the CPU reads them: the widest loads it has, one after the other.
pub(crate) fn streaming_read(values: &[f32]) -> f32 {
    struct Read<'a>(&'a [f32]);

    impl WithSimd for Read<'_> {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            let (vectors, rest) = S::as_simd_f32s(self.0);
            let (groups, tail) = pulp::as_arrays::<SUMS, _>(vectors);
            let mut sums = [simd.splat_f32s(0.0); SUMS];
            for group in groups {
                for (sum, vector) in sums.iter_mut().zip(group) {
                    *sum = simd.add_f32s(*sum, *vector);
                }
            }
            let sum = sums
                .into_iter()
                .chain(tail.iter().copied())
                .reduce(|one, other| simd.add_f32s(one, other));
            sum.map_or(0.0, |sum| simd.reduce_sum_f32s(sum)) + rest.iter().sum::<f32>()
        }
    }

    pulp::Arch::new().dispatch(Read(values))
}
