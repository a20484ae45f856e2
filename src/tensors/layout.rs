//! Tensors as rows: what most components do with a request's inputs before they compute.

use triton_backend::{DataType, Error, TensorConfig};

/// How the tensors of a model are laid out: with or without a batch dimension in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The config's `max_batch_size` is above 0.
    pub(crate) batched: bool,
}

impl Layout {
    /// Takes a tensor's shape apart: the number of rows, and the `N` dimensions of one row.
    pub(crate) fn rows<const N: usize>(
        self,
        name: &str,
        shape: &[i64],
        expected: &str,
    ) -> Result<(usize, [usize; N]), Error> {
        let wrong = || Error::Shape {
            name: name.to_owned(),
            got: shape.to_vec(),
            expected: if self.batched {
                format!("[rows, {expected}]")
            } else {
                format!("[{expected}]")
            },
        };
        let dims: Vec<usize> = shape
            .iter()
            .map(|&dim| usize::try_from(dim).map_err(|_| wrong()))
            .collect::<Result<_, _>>()?;
        let (rows, row) = match (self.batched, dims.split_first()) {
            (true, Some((&rows, row))) => (rows, row),
            (true, None) => return Err(wrong()),
            (false, _) => (1, dims.as_slice()),
        };
        Ok((rows, row.try_into().map_err(|_| wrong())?))
    }

    /// The number of rows of a tensor of this shape, whatever a row is.
    pub(crate) fn rows_of(self, shape: &[i64]) -> usize {
        match shape.first() {
            Some(&rows) if self.batched => usize::try_from(rows).unwrap_or(0),
            _ => 1,
        }
    }

    /// The shape of an output with `rows` rows.
    pub(crate) fn shape(self, rows: usize, row: &[usize]) -> Vec<i64> {
        self.batched
            .then_some(&rows)
            .into_iter()
            .chain(row)
            .map(|&size| dim(size))
            .collect()
    }

    /// One value a row; the tensor may have a dimension of 1 behind the rows.
    pub(crate) fn ids<T: Clone>(
        self,
        name: &str,
        shape: &[i64],
        values: &[T],
        rows: usize,
    ) -> Result<Vec<T>, Error> {
        if values.len() == rows {
            return Ok(values.to_vec());
        }
        Err(Error::Shape {
            name: name.to_owned(),
            got: shape.to_vec(),
            expected: format!("one value for each of the {rows} rows"),
        })
    }

    /// One length a row, each within `limits`; `what` says what is counted.
    pub(crate) fn lengths(
        self,
        name: &str,
        shape: &[i64],
        values: &[i32],
        rows: usize,
        limits: (usize, usize),
        what: &str,
    ) -> Result<Vec<usize>, Error> {
        let (least, most) = limits;
        let check = |(row, value): (usize, i32)| {
            usize::try_from(value)
                .ok()
                .filter(|length| (least..=most).contains(length))
                .ok_or_else(|| {
                    let message =
                        format!("row {row} is {value}, expected {least} to {most} ({what})");
                    Error::input(name, message)
                })
        };
        self.ids(name, shape, values, rows)?
            .into_iter()
            .enumerate()
            .map(check)
            .collect()
    }
}

/// A size as the server counts dimensions; no buffer in memory has one beyond i64.
pub(crate) fn dim(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The first value that is no finite number, and its place, in words.
pub(crate) fn not_finite(values: &[f32]) -> Option<String> {
    // Looks at all values whatever they are: an early end would keep them from being looked at side by side.
    let finite = values
        .iter()
        .fold(true, |finite, value| finite & value.is_finite());
    if finite {
        return None;
    }
    let place = values.iter().position(|value| !value.is_finite())?;
    Some(format!("{} at place {place}", values[place]))
}

/// Checks the type of a tensor of the config.
pub(crate) fn check_type(tensor: &TensorConfig, data_type: DataType) -> Result<(), Error> {
    if tensor.data_type() == Some(data_type) {
        return Ok(());
    }
    let TensorConfig {
        name,
        data_type_name,
        ..
    } = tensor;
    let expected = data_type.config_name();
    Err(Error::Config(format!(
        "tensor '{name}' is {data_type_name}, but this component has {expected}"
    )))
}

/// Checks a tensor of the config: its type, and the dims the backend sees where `dims` has a number.
pub(crate) fn check_tensor(
    tensor: &TensorConfig,
    data_type: DataType,
    dims: &[Option<usize>],
) -> Result<(), Error> {
    check_type(tensor, data_type)?;
    let given = tensor.backend_dims();
    let fits = given.len() == dims.len()
        && given.iter().zip(dims).all(|(&given, wanted)| {
            given == -1 || wanted.is_none_or(|wanted| i64::try_from(wanted) == Ok(given))
        });
    if fits {
        return Ok(());
    }
    let name = &tensor.name;
    let dims: Vec<String> = dims
        .iter()
        .map(|dim| dim.map_or("-1".to_owned(), |dim| dim.to_string()))
        .collect();
    let dims = dims.join(", ");
    Err(Error::Config(format!(
        "tensor '{name}' has dims {given:?}, but here they are [{dims}]"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_that_is_not_finite_is_named() {
        assert_eq!(not_finite(&[]), None);
        assert_eq!(not_finite(&[f32::MAX, f32::MIN, -0.0]), None);
        let values = [0.0, 1.0, f32::NEG_INFINITY, f32::NAN];
        assert_eq!(not_finite(&values).as_deref(), Some("-inf at place 2"));
        assert_eq!(not_finite(&values[3..]).as_deref(), Some("NaN at place 0"));
    }
}
