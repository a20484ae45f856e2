//! Values of rows as tensors: rows of different lengths are padded to the longest.

use std::borrow::Cow;

use triton_backend::{DataType, Element, Error, Response};

use super::told::{NO_TIME, Told};
use crate::tensors::layout::Layout;

/// What is made of a row: the output's type and shape, and its values.
pub(super) enum Fill {
    /// STRING `[1]`
    Text(for<'a> fn(&'a Told<'_>) -> Cow<'a, str>),
    /// FP32 `[1]`
    Number(fn(&Told<'_>) -> f32),
    /// BOOL `[1]`
    Flag(fn(&Told<'_>) -> bool),
    /// INT32 `[1]`
    Count(fn(&Told<'_>) -> usize),
    /// INT32 `[1]`
    Integer(fn(&Told<'_>) -> i32),
    /// STRING `[-1]`
    Texts(for<'a> fn(&'a Told<'_>) -> Vec<&'a str>),
    /// INT32 `[-1]`, milliseconds
    Times(fn(&Told<'_>) -> Vec<i32>),
    /// FP32 `[-1]`
    Numbers(fn(&Told<'_>) -> Vec<f32>),
}

/// Writes an output of all rows.
pub(super) fn write(
    response: &mut Response,
    layout: Layout,
    name: &str,
    fill: &Fill,
    rows: &[Told<'_>],
) -> Result<(), Error> {
    let one = |count: usize| layout.shape(count, &[1]);
    match fill {
        Fill::Text(fill) => {
            let texts: Vec<_> = rows.iter().map(fill).collect();
            let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            response.output_strings(name, &one(rows.len()), &texts)
        }
        Fill::Number(fill) => {
            let numbers: Vec<f32> = rows.iter().map(fill).collect();
            values(response, name, &one(rows.len()), &numbers)
        }
        Fill::Flag(fill) => {
            let shape = one(rows.len());
            let bytes = response.output_bytes(name, DataType::Bool, &shape, rows.len())?;
            for (byte, row) in bytes.iter_mut().zip(rows) {
                *byte = fill(row).into();
            }
            Ok(())
        }
        Fill::Count(fill) => {
            let count = |row| i32::try_from(fill(row)).unwrap_or(i32::MAX);
            let counts: Vec<i32> = rows.iter().map(count).collect();
            values(response, name, &one(rows.len()), &counts)
        }
        Fill::Integer(fill) => {
            let numbers: Vec<i32> = rows.iter().map(fill).collect();
            values(response, name, &one(rows.len()), &numbers)
        }
        Fill::Texts(fill) => {
            let lists: Vec<Vec<&str>> = rows.iter().map(fill).collect();
            let (texts, longest) = padded(&lists, "");
            response.output_strings(name, &layout.shape(rows.len(), &[longest]), &texts)
        }
        Fill::Times(fill) => {
            let lists: Vec<Vec<i32>> = rows.iter().map(fill).collect();
            let (times, longest) = padded(&lists, NO_TIME);
            values(
                response,
                name,
                &layout.shape(rows.len(), &[longest]),
                &times,
            )
        }
        Fill::Numbers(fill) => {
            let lists: Vec<Vec<f32>> = rows.iter().map(fill).collect();
            let (numbers, longest) = padded(&lists, 0.0);
            values(
                response,
                name,
                &layout.shape(rows.len(), &[longest]),
                &numbers,
            )
        }
    }
}

fn values<T: Element>(
    response: &mut Response,
    name: &str,
    shape: &[i64],
    values: &[T],
) -> Result<(), Error> {
    response.output::<T>(name, shape)?.copy_from_slice(values);
    Ok(())
}

/// The rows one after the other, each as long as the longest, and how long that is.
fn padded<T: Copy>(rows: &[Vec<T>], padding: T) -> (Vec<T>, usize) {
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut values = Vec::with_capacity(rows.len() * longest);
    for (index, row) in rows.iter().enumerate() {
        values.extend_from_slice(row);
        values.resize((index + 1) * longest, padding);
    }
    (values, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_long_as_the_longest() {
        let rows = [vec![1, 2], vec![], vec![3]];
        assert_eq!(padded(&rows, -1), (vec![1, 2, -1, -1, 3, -1], 2));
        assert_eq!(padded::<i32>(&[vec![], vec![]], -1), (vec![], 0));
    }
}
