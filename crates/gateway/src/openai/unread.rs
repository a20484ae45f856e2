//! A form's body is read piece by piece, but its reader holds what is between two boundaries, and looks through all of it again with each piece. A
//! body without any is refused before that is much.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use futures_util::TryStreamExt;

/// What a form has beside its file.
pub(super) const AROUND_A_FILE: usize = 1 << 20;

/// Bytes of a form that came and are in no field yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Unread(Arc<AtomicUsize>);

/// Nothing is counted any more.
const OF_NO_INTEREST: usize = usize::MAX / 2;

impl Unread {
    /// A request whose body fails when too much of it is in no field.
    pub(super) fn of(request: Request) -> (Request, Self) {
        let unread = Self::default();
        let own = unread.clone();
        let counted = |body: Body| {
            let pieces = body.into_data_stream().map_err(io::Error::other);
            Body::from_stream(pieces.and_then(move |piece| std::future::ready(own.came(piece))))
        };
        (request.map(counted), unread)
    }

    /// What the form's reader gets of a piece.
    fn came(&self, piece: Bytes) -> io::Result<Bytes> {
        let before = self.0.fetch_add(piece.len(), Ordering::Relaxed);
        if before >= OF_NO_INTEREST {
            return Ok(Bytes::new());
        }
        match self.is_too_much() {
            true => Err(io::Error::other("too much is in no field")),
            false => Ok(piece),
        }
    }

    /// So much that its boundary must be wrong.
    pub(super) fn is_too_much(&self) -> bool {
        (AROUND_A_FILE..OF_NO_INTEREST).contains(&self.0.load(Ordering::Relaxed))
    }

    /// So much of it is in a field.
    pub(super) fn took(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The rest is read to be thrown away, and the form's reader gets nothing of it.
    pub(super) fn of_no_interest(&self) {
        self.0.store(OF_NO_INTEREST, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_field_is_bounded() {
        let unread = Unread::default();
        let piece = |bytes| Bytes::from(vec![0; bytes]);
        for _ in 0..100 {
            let came = unread.came(piece(AROUND_A_FILE - 1)).unwrap();
            unread.took(came.len());
        }
        unread.came(piece(AROUND_A_FILE - 1)).unwrap();
        unread.came(piece(1)).unwrap_err();
        unread.of_no_interest();
        assert_eq!(unread.came(piece(AROUND_A_FILE)).unwrap().len(), 0);
    }
}
