//! Power spectra of real frames, one frame per lane.
//!
//! A frame of N samples is transformed as N/2 complex numbers (even samples real, odd ones imaginary), in place. The
//! transform is seen as reducing a polynomial modulo `z^B - e^(-iφ)` to its remainders modulo four such factors with a
//! quarter of the degree, again and again: the numbers of a block share one turn, which is applied on the way in, where
//! each multiplication fuses with an addition. Block and frame are read in their natural order and outputs stay where
//! they fall. The last step takes the two blocks with the bins r, r + B … and their mirror images, and goes on to the
//! power of those bins at once.
//!
//! Turns are computed in f64.

use std::f64::consts::TAU;

use crate::lanes::{Lanes, Number};

/// A complex number of each lane: real part, imaginary part.
pub(crate) type Complex<V> = [V; 2];

/// `exp(-i phase)` as its real part and the negative of its imaginary part.
#[derive(Debug, Clone, Copy)]
struct Turn<T> {
    cos: T,
    sin: T,
}

impl<T: Number> Turn<T> {
    /// By `part` of the full circle, clockwise.
    fn new(part: f64) -> Self {
        let (sin, cos) = (TAU * part).sin_cos();
        Self {
            cos: T::from_f64(cos),
            sin: T::from_f64(sin),
        }
    }

    #[inline(always)]
    fn splat<L: Lanes<Number = T>>(self, lanes: L) -> Turn<L::Vector> {
        Turn {
            cos: lanes.splat(self.cos),
            sin: lanes.splat(self.sin),
        }
    }
}

/// A block's turn, and twice as much.
type Turns<T> = [Turn<T>; 2];

/// One pass over the frame, in blocks that are split into four, or two, parts.
#[derive(Debug, Clone)]
struct Stage<T> {
    /// Complex numbers in a block.
    block: usize,
    radix: usize,
    /// Per block.
    turns: Vec<Turns<T>>,
}

/// The last pass's blocks of the bins `r` and `size / 8 - r` (plus 0, 1, 2 and 3 times `size / 8`).
#[derive(Debug, Clone, Copy)]
struct Mirror<T> {
    r: usize,
    /// Where the blocks begin.
    at: usize,
    mirror_at: usize,
    turns: Turns<T>,
    mirror_turns: Turns<T>,
    /// Per bin of the first block, the turn of the odd samples against the even ones.
    odd: [Turn<T>; 4],
}

/// The plan for frames of one power-of-two size.
#[derive(Debug, Clone)]
pub(crate) struct PowerFft<T> {
    half: usize,
    middle: Vec<Stage<T>>,
    mirrors: Vec<Mirror<T>>,
}

/// Smallest frame that there is a plan for.
pub(crate) const MIN_SIZE: usize = 32;

impl<T: Number> PowerFft<T> {
    /// A plan for frames of `size` samples, a power of two from [`MIN_SIZE`] on.
    pub(crate) fn new(size: usize) -> Self {
        debug_assert!(size.is_power_of_two() && size >= MIN_SIZE);
        let half = size / 2;
        // What the roots of the blocks' factors are turned by, as parts of the circle.
        let mut parts = split(&[0.0], 4);
        let mut middle = Vec::new();
        let mut block = half / 4;
        while block > 4 {
            // One pass has to halve if the size is not a power of four.
            let radix = if block == 8 { 2 } else { 4 };
            middle.push(Stage {
                block,
                radix,
                turns: parts
                    .iter()
                    .map(|part| turns(*part / radix as f64))
                    .collect(),
            });
            parts = split(&parts, radix);
            block /= radix;
        }
        let find = |r: usize| {
            let wanted = r as f64 / (half / 4) as f64;
            parts.iter().position(|part| *part == wanted).unwrap_or(0)
        };
        let mirror = |r: usize| {
            let mirror_r = (half / 4 - r) % (half / 4);
            let (block, mirror_block) = (find(r), find(mirror_r));
            let odd = [0, 1, 2, 3].map(|q| Turn::new((r + q * half / 4) as f64 / size as f64));
            Mirror {
                r,
                at: 4 * block,
                mirror_at: 4 * mirror_block,
                turns: turns(parts[block] / 4.0),
                mirror_turns: turns(parts[mirror_block] / 4.0),
                odd,
            }
        };
        Self {
            half,
            middle,
            mirrors: (0..=half / 8).map(mirror).collect(),
        }
    }

    /// Goes on with a frame (`[size / 2]`, used up) after [`first`], and writes 4 times the power of its bins from 0 up
    /// to, without, Nyquist to `power` (`[size / 2]`). Returns their sum, without that of bin 0.
    #[inline(always)]
    pub(crate) fn power<L: Lanes<Number = T>>(
        &self,
        lanes: L,
        frame: &mut [Complex<L::Vector>],
        power: &mut [L::Vector],
    ) -> L::Vector {
        for stage in &self.middle {
            stage.run(lanes, frame);
        }
        let power = &mut power[..self.half];
        let mut sums = [lanes.splat(T::ZERO); 2];
        for mirror in &self.mirrors {
            mirror.run(lanes, frame, power, &mut sums);
        }
        lanes.add(sums[0], sums[1])
    }
}

fn turns<T: Number>(part: f64) -> Turns<T> {
    [Turn::new(part), Turn::new(2.0 * part)]
}

/// The turns of the factors that each factor is split into.
fn split(parts: &[f64], radix: usize) -> Vec<f64> {
    let each = |part: &f64| {
        let part = *part;
        (0..radix).map(move |k| (part + k as f64) / radix as f64)
    };
    parts.iter().flat_map(each).collect()
}

impl<T: Number> Stage<T> {
    #[inline(always)]
    fn run<L: Lanes<Number = T>>(&self, lanes: L, frame: &mut [Complex<L::Vector>]) {
        if self.radix == 2 {
            for (block, [turn, _]) in frame.chunks_exact_mut(self.block).zip(&self.turns) {
                let turn = turn.splat(lanes);
                let (a, b) = block.split_at_mut(self.block / 2);
                for (a, b) in a.iter_mut().zip(b) {
                    (*a, *b) = both(lanes, *a, *b, turn);
                }
            }
            return;
        }
        for (block, turns) in frame.chunks_exact_mut(self.block).zip(&self.turns) {
            let turns = [turns[0].splat(lanes), turns[1].splat(lanes)];
            let [a, b, c, d] = quarters(block);
            for ((a, b), (c, d)) in a.iter_mut().zip(b).zip(c.iter_mut().zip(d)) {
                [*a, *b, *c, *d] = butterfly(lanes, [*a, *b, *c, *d], turns);
            }
        }
    }
}

#[inline(always)]
pub(crate) fn quarters<T>(block: &mut [T]) -> [&mut [T]; 4] {
    let size = block.len() / 4;
    let (low, high) = block.split_at_mut(2 * size);
    let (a, b) = low.split_at_mut(size);
    let (c, d) = high.split_at_mut(size);
    [a, b, &mut c[..size], &mut d[..size]]
}

/// The first pass, of a single block: the remainders of `a`, and of what there is of `b`, `c` and `d`.
#[inline(always)]
pub(crate) fn first<L: Lanes>(
    lanes: L,
    a: Complex<L::Vector>,
    b: Complex<L::Vector>,
    c: Option<Complex<L::Vector>>,
    d: Option<Complex<L::Vector>>,
) -> [Complex<L::Vector>; 4] {
    let [plus, minus] = match c {
        Some(c) => [
            [lanes.add(a[0], c[0]), lanes.add(a[1], c[1])],
            [lanes.sub(a[0], c[0]), lanes.sub(a[1], c[1])],
        ],
        None => [a, a],
    };
    let [plus2, minus2] = match d {
        Some(d) => [
            [lanes.add(b[0], d[0]), lanes.add(b[1], d[1])],
            [lanes.sub(b[0], d[0]), lanes.sub(b[1], d[1])],
        ],
        None => [b, b],
    };
    [
        [lanes.add(plus[0], plus2[0]), lanes.add(plus[1], plus2[1])],
        [
            lanes.add(minus[0], minus2[1]),
            lanes.sub(minus[1], minus2[0]),
        ],
        [lanes.sub(plus[0], plus2[0]), lanes.sub(plus[1], plus2[1])],
        [
            lanes.sub(minus[0], minus2[1]),
            lanes.add(minus[1], minus2[0]),
        ],
    ]
}

/// `a + turn b` and `a - turn b`, the latter as `2 a` less the former.
#[inline(always)]
fn both<L: Lanes>(
    lanes: L,
    a: Complex<L::Vector>,
    b: Complex<L::Vector>,
    turn: Turn<L::Vector>,
) -> (Complex<L::Vector>, Complex<L::Vector>) {
    let re = lanes.mul_add(turn.cos, b[0], a[0]);
    let re = lanes.mul_add(turn.sin, b[1], re);
    let im = lanes.mul_add(turn.cos, b[1], a[1]);
    let im = lanes.sub_mul(im, turn.sin, b[0]);
    let two = lanes.splat(L::Number::from_f32(2.0));
    (
        [re, im],
        [lanes.mul_sub(two, a[0], re), lanes.mul_sub(two, a[1], im)],
    )
}

/// As [`both`], for a turn by another quarter of the circle.
#[inline(always)]
fn both_and_quarter<L: Lanes>(
    lanes: L,
    a: Complex<L::Vector>,
    b: Complex<L::Vector>,
    turn: Turn<L::Vector>,
) -> (Complex<L::Vector>, Complex<L::Vector>) {
    let re = lanes.sub_mul(a[0], turn.sin, b[0]);
    let re = lanes.mul_add(turn.cos, b[1], re);
    let im = lanes.sub_mul(a[1], turn.sin, b[1]);
    let im = lanes.sub_mul(im, turn.cos, b[0]);
    let two = lanes.splat(L::Number::from_f32(2.0));
    (
        [re, im],
        [lanes.mul_sub(two, a[0], re), lanes.mul_sub(two, a[1], im)],
    )
}

/// The four remainders of `a + b z + c z² + d z³`.
#[inline(always)]
fn butterfly<L: Lanes>(
    lanes: L,
    [a, b, c, d]: [Complex<L::Vector>; 4],
    [turn, twice]: [Turn<L::Vector>; 2],
) -> [Complex<L::Vector>; 4] {
    let (plus, minus) = both(lanes, a, c, twice);
    let (plus2, minus2) = both(lanes, b, d, twice);
    let (first, third) = both(lanes, plus, plus2, turn);
    let (second, fourth) = both_and_quarter(lanes, minus, minus2, turn);
    [first, second, third, fourth]
}

impl<T: Number> Mirror<T> {
    #[inline(always)]
    fn run<L: Lanes<Number = T>>(
        &self,
        lanes: L,
        frame: &[Complex<L::Vector>],
        power: &mut [L::Vector],
        sums: &mut [L::Vector; 2],
    ) {
        let step = power.len() / 4;
        let r = self.r;
        let z = self.block(lanes, frame, self.at, &self.turns);
        if r == 0 {
            let (bin0, _) = pair_power(lanes, z[0], z[0], self.odd[0]);
            let (low, high) = pair_power(lanes, z[1], z[3], self.odd[1]);
            let (middle, _) = pair_power(lanes, z[2], z[2], self.odd[2]);
            power[0] = bin0;
            power[step] = low;
            power[2 * step] = middle;
            power[3 * step] = high;
            sums[0] = lanes.add(lanes.add(sums[0], low), middle);
            sums[1] = lanes.add(sums[1], high);
            return;
        }
        let (mirror, pairs) = if 2 * r == step {
            (z, 2)
        } else {
            (
                self.block(lanes, frame, self.mirror_at, &self.mirror_turns),
                4,
            )
        };
        for q in 0..pairs {
            let (low, high) = pair_power(lanes, z[q], mirror[3 - q], self.odd[q]);
            power[r + q * step] = low;
            power[(4 - q) * step - r] = high;
            sums[0] = lanes.add(sums[0], low);
            sums[1] = lanes.add(sums[1], high);
        }
    }

    #[inline(always)]
    fn block<L: Lanes<Number = T>>(
        &self,
        lanes: L,
        frame: &[Complex<L::Vector>],
        at: usize,
        turns: &Turns<T>,
    ) -> [Complex<L::Vector>; 4] {
        let block = &frame[at..at + 4];
        let turns = [turns[0].splat(lanes), turns[1].splat(lanes)];
        butterfly(lanes, [block[0], block[1], block[2], block[3]], turns)
    }
}

/// 4 times the power of a bin and of its mirror. With `E = z + conj(mirror)` and `O = -i (z - conj(mirror))`, twice
/// the spectra of the even and of the odd samples, the bins are `(E + w O) / 2` and `conj(E - w O) / 2`.
#[inline(always)]
fn pair_power<L: Lanes>(
    lanes: L,
    z: Complex<L::Vector>,
    mirror: Complex<L::Vector>,
    w: Turn<L::Number>,
) -> (L::Vector, L::Vector) {
    let even = [lanes.add(z[0], mirror[0]), lanes.sub(z[1], mirror[1])];
    let odd = [lanes.add(z[1], mirror[1]), lanes.sub(mirror[0], z[0])];
    let (low, high) = both(lanes, even, odd, w.splat(lanes));
    (magnitude(lanes, low), magnitude(lanes, high))
}

#[inline(always)]
fn magnitude<L: Lanes>(lanes: L, x: Complex<L::Vector>) -> L::Vector {
    lanes.mul_add(x[0], x[0], lanes.mul(x[1], x[1]))
}
