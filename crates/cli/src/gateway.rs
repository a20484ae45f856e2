//! `triton-funasr gateway`: OpenAI's API in front of servers that run already; and beside one that `serve` starts.

use anyhow::{Context, Result, anyhow};
pub use triton_funasr_gateway::{Gateway, Options};

use crate::{console, process};

/// What to stand in front of.
#[derive(Debug, clap::Args)]
// The program's variant that flattens it has a group of this name.
#[group(skip)]
pub struct Front {
    /// The gRPC endpoint of a Triton server; several may be given
    #[arg(
        long = "triton",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8001"
    )]
    servers: Vec<String>,
    #[command(flatten)]
    options: Options,
}

/// Answers until Ctrl-C or SIGTERM.
pub fn gateway(front: &Front) -> Result<()> {
    let gateway = bind(&front.options)?;
    console::step("Serving", format!("{}, until Ctrl-C", gateway.url()?));
    Ok(gateway.run(&front.servers)?)
}

/// A gateway that has its ports. On Ctrl-C and SIGTERM what it has under way comes to its end before anything else is stopped.
///
/// # Errors
/// If an option is wrong, or the address is taken.
pub fn bind(options: &Options) -> Result<Gateway> {
    let mut gateway = Gateway::bind(options)?;
    if let Some(stopper) = gateway.stopper() {
        process::at_interrupt(move |hurry| stopper.stop(hurry));
    }
    Ok(gateway)
}

/// Runs a gateway on a thread of its own, in front of the gRPC endpoint `server`.
///
/// # Errors
/// If the system has no thread for it.
pub fn beside(gateway: Gateway, server: String) -> Result<()> {
    let run = move || {
        if let Err(error) = gateway.run(&[server]) {
            console::error(format!("the gateway stopped: {:#}", anyhow!(error)));
        }
    };
    let thread = std::thread::Builder::new()
        .name("gateway".into())
        .spawn(run);
    thread.context("cannot start the gateway").map(drop)
}
