//! Arithmetic on several frames at once.
//!
//! A vector holds the same value of as many consecutive frames as the instruction set has lanes. A lane never looks at
//! another, and sums have one order whatever the number of lanes: a frame's features are the same bits in whatever
//! lane, block and thread it is computed, and on every CPU that fuses multiplication with addition (all but
//! [`Portable`]'s).

mod plain;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use plain::Portable;
pub(crate) use vector::{Isa, Lanes, MAX_LANES, Number, ln_floored};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_floors_zero_negative_and_nan() {
        let mut values = [0.0, -3.0, f32::NAN, 1.0];
        ln_floored::<<Portable as Isa>::Singles>(&mut values, f32::EPSILON);
        let floor = f32::EPSILON.ln();
        assert_eq!(values, [floor, floor, floor, 0.0]);
    }
}
