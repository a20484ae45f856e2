//! The filter of a pair of rates.

use std::f64::consts::PI;
use std::sync::{Arc, Mutex, PoisonError};

/// The part of the band that passes as it is.
const FLAT: f64 = 0.9125;
/// How far down the rest is, in dB.
const DOWN: f64 = 100.0;
/// Rows that a filter has at most. 1024 are enough for all usual rates (640 from 11 025 Hz); between those of others what lies
/// between two rows is their weighted mean, which is off by less than -106 dB at 512 of them.
const MOST_ROWS: usize = 1024;
const ROWS_BETWEEN: usize = 512;
/// Rows have a multiple of this many coefficients: two vectors of the widest kind.
pub(super) const LANES: usize = 32;
/// Bytes of a cache line.
const CACHE_LINE: usize = 64;
/// Filters that are kept. The largest have 3.6 MB (from 191 999 Hz), that of 48 kHz 2 kB.
const KEPT: usize = 16;

/// The coefficients for a pair of rates.
#[derive(Debug)]
pub(super) struct Filter {
    /// The rates, without their common factors.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Input samples on each side of an output sample that it depends on.
    pub(super) half: usize,
    /// Coefficients of a row; the first ones are zeros to fill it up.
    pub(super) width: usize,
    /// Rows, each for another place between two input samples; one for the next input sample is behind them where places between
    /// rows are asked for.
    pub(super) rows: usize,
    /// Whether each place that can occur has a row.
    pub(super) exact: bool,
    /// `[rows (+ 1), width]`, behind what fills up to `begin`.
    coefficients: Vec<f32>,
    /// Where rows begin: at an address that is a whole number of cache lines.
    begin: usize,
}

impl Filter {
    /// The filter from one rate to another; the last few are kept.
    pub(super) fn of(from: u32, to: u32) -> Arc<Self> {
        static KNOWN: Mutex<Vec<Arc<Filter>>> = Mutex::new(Vec::new());
        let common = common_factor(from, to);
        let (from, to) = ((from / common) as usize, (to / common) as usize);
        let lock = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let take = |known: &mut Vec<Arc<Self>>| {
            let at = known
                .iter()
                .position(|filter| (filter.from, filter.to) == (from, to))?;
            Some(known.remove(at))
        };
        let found = take(&mut lock());
        // Made outside the lock: it can take tens of milliseconds, and others need not wait.
        let filter = found.unwrap_or_else(|| Arc::new(Self::design(from, to)));
        let mut known = lock();
        take(&mut known);
        known.insert(0, Arc::clone(&filter));
        known.truncate(KEPT);
        filter
    }

    /// Whether nothing needs to be done.
    pub(super) fn is_identity(&self) -> bool {
        self.from == self.to
    }

    /// Zeros before the first sample, so that the first output sample's filter has all its input.
    pub(super) fn before(&self) -> usize {
        self.width.saturating_sub(self.half + 1)
    }

    /// Rows of coefficients by the Kaiser window method (Oppenheim, Schafer: *Discrete-Time Signal Processing*, 7.5.3).
    fn design(from: usize, to: usize) -> Self {
        if from == to {
            return Self {
                from,
                to,
                half: 0,
                width: 0,
                rows: 0,
                exact: true,
                coefficients: Vec::new(),
                begin: 0,
            };
        }
        // In cycles per input sample.
        let nyquist = 0.5 * (to as f64 / from as f64).min(1.0);
        let cutoff = nyquist * (1.0 + FLAT) / 2.0;
        let transition = nyquist * (1.0 - FLAT);
        let beta = 0.1102 * (DOWN - 8.7);
        let half = ((DOWN - 7.95) / (14.36 * transition) / 2.0).ceil();
        let exact = to <= MOST_ROWS;
        let rows = if exact { to } else { ROWS_BETWEEN };
        let (reach, half) = (half, half as usize);
        let width = (2 * half).next_multiple_of(LANES);
        let all = if exact { rows } else { rows + 1 };
        let mut coefficients = vec![0.0; all * width + CACHE_LINE / size_of::<f32>()];
        let begin = coefficients.as_ptr().align_offset(CACHE_LINE);
        // A place that cannot be found costs time alone.
        let begin = if begin < CACHE_LINE / size_of::<f32>() {
            begin
        } else {
            0
        };
        let rows_of = coefficients[begin..].chunks_exact_mut(width);
        for (row, values) in rows_of.take(all).enumerate() {
            let place = row as f64 / rows as f64;
            let times = (0..2 * half).map(|tap| place + reach - 1.0 - tap as f64);
            let taps: Vec<f64> = times
                .map(|time| sinc(2.0 * cutoff * time) * kaiser(time / reach, beta))
                .collect();
            // Each row adds up to 1: a constant stays one.
            let sum: f64 = taps.iter().sum();
            for (value, tap) in values[width - 2 * half..].iter_mut().zip(taps) {
                *value = (tap / sum) as f32;
            }
        }
        Self {
            from,
            to,
            half,
            width,
            rows,
            exact,
            coefficients,
            begin,
        }
    }

    /// The coefficients of a row.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.coefficients[self.begin + row * self.width..][..self.width]
    }
}

fn common_factor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_factor(b, a % b) }
}

fn sinc(x: f64) -> f64 {
    let x = PI * x;
    if x.abs() < 1.0e-9 { 1.0 } else { x.sin() / x }
}

/// The Kaiser window at `x`, which is -1 to 1 from end to end.
fn kaiser(x: f64, beta: f64) -> f64 {
    let inside = 1.0 - x * x;
    if inside < 0.0 {
        return 0.0;
    }
    bessel(beta * inside.sqrt()) / bessel(beta)
}

/// The modified Bessel function of the first kind, order 0: the sum of `((x / 2)^k / k!)^2`.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1.0e-12 {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}
