//! Sequences: requests that belong together, told apart by a correlation id.

use std::ffi::{CStr, CString};
use std::fmt;
use std::ptr;

use crate::error::{Error, check};
use crate::excerpt::excerpt;
use crate::{Request, sys};

/// What tells one sequence from another. Clients choose a number or a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CorrelationId {
    /// A number; 0 is no sequence.
    Number(u64),
    /// A text, byte by byte as the client sent it: it need not be UTF-8, and ids that differ in whatever byte are different
    /// streams.
    Text(CString),
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => excerpt(&text.to_string_lossy()).fmt(f),
        }
    }
}

/// A request's place in a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The sequence.
    pub id: CorrelationId,
    /// It is the sequence's first request.
    pub start: bool,
    /// It is the sequence's last request.
    pub end: bool,
}

impl Sequence {
    /// The id in the server's messages, if it is a text.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.id {
            CorrelationId::Number(_) => None,
            CorrelationId::Text(text) => Some(text.to_string_lossy().into_owned()),
        }
    }

    pub(crate) fn flags(&self) -> u32 {
        let start = if self.start { sys::SEQUENCE_START } else { 0 };
        let end = if self.end { sys::SEQUENCE_END } else { 0 };
        start | end
    }
}

impl Request {
    /// The request's place in its sequence, for models with `sequence_batching`.
    ///
    /// # Errors
    /// If the request belongs to no sequence.
    pub fn sequence(&self) -> Result<Sequence, Error> {
        let mut flags = 0_u32;
        // SAFETY: a live request and a valid out pointer.
        unsafe { check(sys::TRITONBACKEND_RequestFlags(self.raw(), &mut flags))? };
        Ok(Sequence {
            id: self.correlation_id()?,
            start: flags & sys::SEQUENCE_START != 0,
            end: flags & sys::SEQUENCE_END != 0,
        })
    }

    fn correlation_id(&self) -> Result<CorrelationId, Error> {
        let mut text = ptr::null();
        let mut number = 0_u64;
        // SAFETY: a live request and valid out pointers; the text lives as long as the request.
        unsafe {
            // The server answers an error for the form the id does not have.
            if check(sys::TRITONBACKEND_RequestCorrelationIdString(
                self.raw(),
                &mut text,
            ))
            .is_ok()
                && !text.is_null()
                && *text != 0
            {
                return Ok(CorrelationId::Text(CStr::from_ptr(text).to_owned()));
            }
            check(sys::TRITONBACKEND_RequestCorrelationId(
                self.raw(),
                &mut number,
            ))?;
        }
        match number {
            0 => Err(Error::invalid(
                "the request has no correlation id; this model serves sequences",
            )),
            number => Ok(CorrelationId::Number(number)),
        }
    }
}
