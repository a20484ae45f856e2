//! Where a row of audio comes from, which its answer may tell.

/// Where a row of audio comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Origin {
    /// The row of the request.
    pub(crate) row: usize,
    /// The channel of its file; none where channels are mixed, or where it is no file.
    pub(crate) channel: Option<usize>,
    /// What its sender should know of it.
    pub(crate) warning: Option<String>,
}

impl Origin {
    /// The warning as a STRING has it, which is empty where there is none.
    pub(crate) fn warning_bytes(&self) -> &[u8] {
        self.warning.as_deref().unwrap_or_default().as_bytes()
    }

    /// Of rows that are their request's rows, and of which there is nothing to say.
    pub(super) fn of_rows(rows: usize) -> Vec<Self> {
        let origin = |row| Self {
            row,
            ..Self::default()
        };
        (0..rows).map(origin).collect()
    }
}

/// For each of `origins` what is known of its request's row.
pub(crate) fn of_origins<T: Clone>(origins: &[Origin], of_rows: &[T]) -> Vec<T> {
    let of_row = |origin: &Origin| of_rows.get(origin.row).cloned();
    origins.iter().filter_map(of_row).collect()
}

/// How many rows the request has that `origins` are of: each has one at least.
pub(crate) fn rows_asked(origins: &[Origin]) -> usize {
    origins.last().map_or(0, |last| last.row + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_row_goes_for_all_that_came_of_it() {
        let mut origins = Origin::of_rows(2);
        assert_eq!(of_origins(&origins, &["a", "b"]), ["a", "b"]);
        let second = Origin {
            channel: Some(1),
            ..origins[0].clone()
        };
        origins.insert(1, second);
        assert_eq!(of_origins(&origins, &["a", "b"]), ["a", "a", "b"]);
        assert_eq!(rows_asked(&origins), 2);
        assert_eq!(rows_asked(&[]), 0);
    }
}
