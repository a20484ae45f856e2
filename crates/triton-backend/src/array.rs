//! Tensors as `ndarray` sees them: feature `ndarray`.

use std::borrow::Cow;

use ndarray::{Array, ArrayView, ArrayViewMut, CowArray, Dimension, IntoDimension};

use crate::{Element, Error, Input, ReplyOutput, Response, shape_excerpt};

/// What is expected of a shape whose dimensions, zeros left out, multiply to more than a memory has.
const COUNTABLE: &str = "dimensions that can be counted";

impl<'r> Input<'r> {
    /// The elements as an array of the input's shape: a view of them where [`Input::read`] borrows them, else its copy.
    ///
    /// `D` is the number of dimensions: `Ix2` for a matrix, `IxDyn` for what a request brings.
    ///
    /// ```no_run
    /// use triton_backend::ndarray::{Axis, Ix2};
    /// use triton_backend::{Error, Request, Response};
    ///
    /// /// The mean of each row.
    /// fn means(request: &Request) -> Result<Response, Error> {
    ///     let x = request.input("x")?.array::<f32, Ix2>()?;
    ///     let means = x
    ///         .mean_axis(Axis(1))
    ///         .ok_or_else(|| Error::input("x", "rows without values have no mean"))?;
    ///     let mut response = request.response()?;
    ///     response
    ///         .output_array::<f32, _>("mean", (x.nrows(), 1))?
    ///         .column_mut(0)
    ///         .assign(&means);
    ///     Ok(response)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Input::read`], or [`Error::Shape`] if the input has another number of dimensions.
    pub fn array<T: Element, D: Dimension>(&self) -> Result<CowArray<'r, T, D>, Error> {
        shaped(self.shape(), self.read()?).map_err(|expected| Error::Shape {
            name: self.name().to_owned(),
            got: self.shape().to_vec(),
            expected,
        })
    }
}

impl<'r> ReplyOutput<'r> {
    /// The elements as an array of the output's shape: a view of them where [`ReplyOutput::read`] borrows them, else its
    /// copy. As [`Input::array`].
    ///
    /// # Errors
    /// As [`ReplyOutput::read`], or if the output has another number of dimensions.
    pub fn array<T: Element, D: Dimension>(&self) -> Result<CowArray<'r, T, D>, Error> {
        shaped(self.shape, self.read()?).map_err(|expected| {
            Error::internal(format!(
                "output '{}' of the called model has shape {}, expected {expected}",
                self.name,
                shape_excerpt(self.shape)
            ))
        })
    }
}

impl Response {
    /// Adds an output of `shape` (batch dimension included) and returns it as an array to be written, all of it: the memory
    /// is the server's and holds whatever it held before.
    ///
    /// ```no_run
    /// # use triton_backend::{Error, Response};
    /// # fn identity(response: &mut Response) -> Result<(), Error> {
    /// let mut y = response.output_array::<f32, _>("y", (3, 3))?;
    /// y.fill(0.0);
    /// y.diag_mut().fill(1.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Response::output`].
    pub fn output_array<T: Element, D: Dimension>(
        &mut self,
        name: &str,
        shape: impl IntoDimension<Dim = D>,
    ) -> Result<ArrayViewMut<'_, T, D>, Error> {
        let shape = shape.into_dimension();
        let impossible = || {
            let shape = shape.as_array_view();
            Error::internal(format!("output '{name}' of impossible shape {shape}"))
        };
        let dims: Vec<i64> = shape
            .as_array_view()
            .iter()
            .map(|&dim| i64::try_from(dim).map_err(|_| impossible()))
            .collect::<Result<_, _>>()?;
        let values = self.output(name, &dims)?;
        ArrayViewMut::from_shape(shape.clone(), values).map_err(|_| impossible())
    }
}

/// `values` in `shape`. If they do not go together: what shape is expected.
fn shaped<'a, T: Element, D: Dimension>(
    shape: &[i64],
    values: Cow<'a, [T]>,
) -> Result<CowArray<'a, T, D>, String> {
    let rank = D::NDIM.unwrap_or(shape.len());
    if rank != shape.len() {
        return Err(match rank {
            1 => "1 dimension".to_owned(),
            _ => format!("{rank} dimensions"),
        });
    }
    let mut dims = D::zeros(rank);
    for (dim, &size) in dims.as_array_view_mut().iter_mut().zip(shape) {
        *dim = usize::try_from(size).map_err(|_| COUNTABLE)?;
    }
    let array = match values {
        Cow::Borrowed(values) => ArrayView::from_shape(dims, values).map(CowArray::from),
        Cow::Owned(values) => Array::from_shape_vec(dims, values).map(CowArray::from),
    };
    array.map_err(|_| COUNTABLE.to_owned())
}
