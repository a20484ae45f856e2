#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod check;
pub mod console;
pub mod files;
pub mod gateway;
pub mod http;
pub mod install;
pub mod prerequisites;
pub mod process;
pub mod programs;
pub mod recording;
pub mod repo;
pub mod requests;
pub mod serve;
pub mod server;
pub mod transcribe;
pub mod wheels;
