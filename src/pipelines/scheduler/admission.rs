//! How much may be pending, that is taken and not answered yet: beyond its limits a request is told so at once, before anything is
//! computed for it.

use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use triton_backend::{Error, ErrorCode, Gauge};

/// The most of one thing that may be pending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// The parameter that sets it, which errors name.
    pub(crate) parameter: &'static str,
    pub(crate) most: u64,
    /// How people count it, as in "rows".
    pub(crate) unit: &'static str,
    /// How much of what is counted here makes one of those: 1000 where seconds are counted in milliseconds.
    pub(crate) per_unit: u64,
}

/// A door with `N` limits. What a request has of each is counted as a whole: it comes in with all of its rows, or with none.
pub(crate) struct Admission<const N: usize> {
    limits: [Limit; N],
    pending: Mutex<[u64; N]>,
    /// How much of the first thing is pending.
    told: Gauge,
}

/// What a request that came in has of each thing; dropped, it is pending no more.
pub(crate) struct Permit<const N: usize> {
    admission: Arc<Admission<N>>,
    amounts: [u64; N],
}

impl<const N: usize> Admission<N> {
    /// A door that nothing has gone through; `told` is told how much of the first thing is pending.
    pub(crate) fn new(limits: [Limit; N], told: Gauge) -> Arc<Self> {
        Arc::new(Self {
            limits,
            pending: Mutex::new([0; N]),
            told,
        })
    }

    /// Lets a request in that has so much of each thing.
    ///
    /// # Errors
    /// `Unavailable` where others leave no room for it, `InvalidArgument` where it would not fit if it were alone: then no later
    /// try can succeed. Both name the limit.
    pub(crate) fn admit(self: &Arc<Self>, amounts: [u64; N]) -> Result<Permit<N>, Error> {
        let mut permit = Permit {
            admission: Arc::clone(self),
            amounts: [0; N],
        };
        permit.grow(amounts)?;
        Ok(permit)
    }

    fn give_back(&self, amounts: [u64; N]) {
        let mut pending = self.lock();
        for (pending, amount) in pending.iter_mut().zip(&amounts) {
            *pending = pending.saturating_sub(*amount);
        }
        drop(pending);
        self.tell(amounts, -1);
    }

    fn tell(&self, amounts: [u64; N], sign: i64) {
        let first = amounts.first().copied().unwrap_or(0);
        self.told
            .add(sign * i64::try_from(first).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, [u64; N]> {
        // Nothing panics between the first and the last of the numbers.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const N: usize> Permit<N> {
    /// Lets so much more of each thing in, of a request that turns out to have it.
    ///
    /// # Errors
    /// As [`Admission::admit`]; nothing more is let in then.
    pub(crate) fn grow(&mut self, more: [u64; N]) -> Result<(), Error> {
        let limits = &self.admission.limits;
        let whole = sum(self.amounts, more);
        for (limit, &amount) in limits.iter().zip(&whole) {
            if amount > limit.most {
                return Err(Error::invalid(format!(
                    "the request has {}; parameter {} allows {}",
                    limit.show(amount),
                    limit.parameter,
                    limit.show(limit.most)
                ))
                .because(limit.parameter));
            }
        }
        let mut pending = self.admission.lock();
        let things = limits.iter().zip(pending.iter()).zip(&more);
        for ((limit, &pending), &amount) in things {
            if pending.saturating_add(amount) > limit.most {
                return Err(limit.full(pending, amount));
            }
        }
        *pending = sum(*pending, more);
        drop(pending);
        self.admission.tell(more, 1);
        self.amounts = whole;
        Ok(())
    }
}

fn sum<const N: usize>(mut amounts: [u64; N], more: [u64; N]) -> [u64; N] {
    for (amount, more) in amounts.iter_mut().zip(more) {
        *amount = amount.saturating_add(more);
    }
    amounts
}

impl<const N: usize> Drop for Permit<N> {
    fn drop(&mut self) {
        self.admission.give_back(self.amounts);
    }
}

impl Limit {
    fn show(&self, amount: u64) -> impl Display {
        let Self { unit, per_unit, .. } = *self;
        fmt::from_fn(move |f| match per_unit {
            0 | 1 => write!(f, "{amount} {unit}"),
            _ => write!(f, "{} {unit}", amount as f64 / per_unit as f64),
        })
    }

    fn full(&self, pending: u64, amount: u64) -> Error {
        let message = format!(
            "overloaded: {} are pending and the request has {}; parameter {} allows {}; try again later",
            self.show(pending),
            self.show(amount),
            self.parameter,
            self.show(self.most)
        );
        Error::new(ErrorCode::Unavailable, message).because(self.parameter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Arc<Admission<2>> {
        let limit = |parameter, most, unit, per_unit| Limit {
            parameter,
            most,
            unit,
            per_unit,
        };
        let limits = [
            limit("most_rows", 4, "rows", 1),
            limit("most_seconds", 10_000, "s", 1000),
        ];
        Admission::new(limits, Gauge::default())
    }

    fn refused(door: &Arc<Admission<2>>, amounts: [u64; 2]) -> (ErrorCode, String) {
        let error = door.admit(amounts).err().unwrap();
        assert_eq!(
            error.reason(),
            Some(if error.to_string().contains("most_rows") {
                "most_rows"
            } else {
                "most_seconds"
            })
        );
        (error.code(), error.to_string())
    }

    #[test]
    fn what_fits_comes_in_and_beyond_each_limit_it_is_named() {
        let door = door();
        let first = door.admit([3, 1500]).unwrap();
        assert_eq!(
            refused(&door, [2, 0]),
            (
                ErrorCode::Unavailable,
                "overloaded: 3 rows are pending and the request has 2 rows; parameter most_rows allows 4 rows; try again later"
                    .to_owned()
            )
        );
        assert_eq!(
            refused(&door, [1, 8501]),
            (
                ErrorCode::Unavailable,
                "overloaded: 1.5 s are pending and the request has 8.501 s; parameter most_seconds allows 10 s; try again later"
                    .to_owned()
            )
        );
        // All of both limits, and then nothing more.
        let second = door.admit([1, 8500]).unwrap();
        assert_eq!(refused(&door, [0, 1]).0, ErrorCode::Unavailable);
        drop(first);
        // One that was refused left nothing behind.
        let third = door.admit([3, 1500]).unwrap();
        assert_eq!(door.told.value(), 4);
        drop((second, third));
        assert!(door.admit([4, 10_000]).is_ok());
    }

    #[test]
    fn what_can_never_fit_is_the_clients_fault() {
        assert_eq!(
            refused(&door(), [5, 0]),
            (
                ErrorCode::InvalidArgument,
                "the request has 5 rows; parameter most_rows allows 4 rows".to_owned()
            )
        );
        assert_eq!(
            refused(&door(), [1, u64::MAX]).0,
            ErrorCode::InvalidArgument
        );
    }

    #[test]
    fn what_came_in_may_grow_to_a_limit_and_no_further() {
        let door = door();
        let other = door.admit([1, 4000]).unwrap();
        let mut own = door.admit([1, 1000]).unwrap();
        own.grow([0, 5000]).unwrap();
        let refused = |own: &mut Permit<2>, more| own.grow(more).unwrap_err().to_string();
        assert_eq!(
            refused(&mut own, [0, 1]),
            "overloaded: 10 s are pending and the request has 0.001 s; parameter most_seconds allows 10 s; try again later"
        );
        // Alone it would not fit either.
        assert_eq!(
            refused(&mut own, [0, 4001]),
            "the request has 10.001 s; parameter most_seconds allows 10 s"
        );
        drop(other);
        own.grow([0, 4000]).unwrap();
        assert_eq!((*door.lock(), door.told.value()), ([1, 10_000], 1));
        drop(own);
        assert_eq!((*door.lock(), door.told.value()), ([0, 0], 0));
    }

    #[test]
    fn from_many_threads_no_limit_is_passed_and_all_is_given_back() {
        let door = door();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        if let Ok(permit) = door.admit([3, 1]) {
                            assert!(door.admit([2, 1]).is_err());
                            drop(permit);
                        }
                    }
                });
            }
        });
        assert_eq!((*door.lock(), door.told.value()), ([0, 0], 0));
    }
}
