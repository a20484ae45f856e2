//! The server's log: [`info!`](crate::info), [`warn!`](crate::warn), [`error!`](crate::error) and
//! [`verbose!`](crate::verbose).

use crate::error::{c_string, check};
use crate::sys;

/// How loud a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What an operator wants to see once.
    Info,
    /// Works, but probably not as meant.
    Warn,
    /// Does not work.
    Error,
    /// Only with `--log-verbose=1` and above.
    Verbose,
}

impl Level {
    fn to_raw(self) -> std::ffi::c_int {
        match self {
            Self::Info => sys::LOG_INFO,
            Self::Warn => sys::LOG_WARN,
            Self::Error => sys::LOG_ERROR,
            Self::Verbose => sys::LOG_VERBOSE,
        }
    }
}

/// Whether the server prints messages of this level.
pub fn enabled(level: Level) -> bool {
    // SAFETY: takes a plain number.
    unsafe { sys::TRITONSERVER_LogIsEnabled(level.to_raw()) }
}

/// Writes one line to the server's log.
pub fn write(level: Level, file: &str, line: u32, message: &str) {
    let (file, message) = (c_string(file), c_string(message));
    let line = i32::try_from(line).unwrap_or(0);
    // SAFETY: both strings are NUL-terminated and outlive the call. A failure to log has nowhere to go.
    let _ = unsafe {
        check(sys::TRITONSERVER_LogMessage(
            level.to_raw(),
            file.as_ptr(),
            line,
            message.as_ptr(),
        ))
    };
}

/// Formats a message and writes it, if the server prints messages of its level.
#[macro_export]
macro_rules! log {
    ($level:expr, $($message:tt)*) => {
        if $crate::log::enabled($level) {
            $crate::log::write($level, file!(), line!(), &format!($($message)*));
        }
    };
}

/// Logs what an operator wants to see once.
#[macro_export]
macro_rules! info {
    ($($message:tt)*) => { $crate::log!($crate::log::Level::Info, $($message)*) };
}

/// Logs what works, but probably not as meant.
#[macro_export]
macro_rules! warn {
    ($($message:tt)*) => { $crate::log!($crate::log::Level::Warn, $($message)*) };
}

/// Logs what does not work.
#[macro_export]
macro_rules! error {
    ($($message:tt)*) => { $crate::log!($crate::log::Level::Error, $($message)*) };
}

/// Logs details for `--log-verbose=1`.
#[macro_export]
macro_rules! verbose {
    ($($message:tt)*) => { $crate::log!($crate::log::Level::Verbose, $($message)*) };
}
