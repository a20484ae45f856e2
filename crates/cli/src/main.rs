//! The program `triton-funasr`.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use triton_funasr_cli::check::{self, Check};
use triton_funasr_cli::gateway::{self, Front};
use triton_funasr_cli::install::{self, Install};
use triton_funasr_cli::process;
use triton_funasr_cli::programs::ProgramOptions;
use triton_funasr_cli::repo;
use triton_funasr_cli::serve::{self, Serve};
use triton_funasr_cli::transcribe::{self, Transcribe};

/// SenseVoice and Paraformer on Triton Inference Server: make a repository, check it, install the backend, serve, transcribe
#[derive(Debug, Parser)]
#[command(name = "triton-funasr", version, after_help = EXAMPLES)]
struct Options {
    #[command(subcommand)]
    task: Task,
}

const EXAMPLES: &str = "\
Examples:
  triton-funasr repo sensevoice --from ~/SenseVoiceSmall --to ~/models
  triton-funasr check ~/models
  triton-funasr serve --repo ~/models --http-port 8000
  triton-funasr transcribe recordings/ --json > texts.jsonl
  triton-funasr install --to /opt/tritonserver/backends

Exit codes: 0 well, 1 failed, 2 wrong arguments, 130 after Ctrl-C.";

#[derive(Debug, Subcommand)]
enum Task {
    /// Assemble a model repository from an exported model
    #[command(after_help = "\
Examples:
  triton-funasr repo sensevoice --from ~/SenseVoiceSmall --to ~/models
  triton-funasr repo sensevoice --from ~/SenseVoiceSmall --to ~/models --quantized --force
  triton-funasr repo paraformer --from ~/paraformer-large --to ~/models
  triton-funasr repo paraformer-online --from ~/paraformer-large-online --to ~/models
  triton-funasr repo all --from sensevoice=~/SenseVoiceSmall --from paraformer=~/paraformer-large --to ~/models")]
    Repo {
        #[command(subcommand)]
        task: repo::Task,
    },
    /// Say what does not fit in a model repository, also one with Python steps, and how to change it
    #[command(after_help = "\
Examples:
  triton-funasr check ~/models
  triton-funasr check ~/models --json

The exit code is 1 when something keeps a model from loading or makes it answer wrongly.")]
    Check(Check),
    /// Put the libraries into a Triton's backend directory; says what it would do, and does it with --yes
    #[command(after_help = "\
Examples:
  triton-funasr install
  triton-funasr install --yes
  triton-funasr install --to ~/triton/backends --onnxruntime --yes")]
    Install(Install),
    /// Serve model repositories in the foreground, on 127.0.0.1
    #[command(after_help = "\
Examples:
  triton-funasr serve --repo ~/models
  triton-funasr serve --repo ~/models --http-port 8000 --grpc-port 8001 --metrics-port 8002
  triton-funasr serve --repo ~/models --gateway
  triton-funasr serve --repo ~/models -- --model-config-name=pipeline --log-verbose=1")]
    Serve {
        #[command(flatten)]
        serve: Serve,
        #[command(flatten)]
        programs: ProgramOptions,
    },
    /// OpenAI's transcription API and FunASR's WebSocket protocol in front of running servers
    #[command(after_help = "\
Examples:
  triton-funasr gateway
  triton-funasr gateway --triton gpu1:8001 --triton gpu2:8001 --listen 0.0.0.0:8080 --keys keys.txt
  triton-funasr gateway --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem

What it answers, its limits and its metrics: docs/gateway.md. On SIGTERM it takes no more, and ends when all is answered.")]
    Gateway(Front),
    /// Send recordings to a running server; print their texts, all that the model says of them, or subtitles
    #[command(after_help = "\
Examples:
  triton-funasr transcribe a.wav b.wav
  triton-funasr transcribe recordings/ --url http://asr.example:8000 --jobs 16
  triton-funasr transcribe recordings/ --model streaming_paraformer --format json
  triton-funasr transcribe talk.wav --format srt > talk.srt
  triton-funasr transcribe recordings/ --format vtt --to subtitles

Prints file, tabulator, text. json is an object a line; its member result is what the model says beyond that: language, confidence, words \
with their times, as far as it says them. srt, vtt and tsv are subtitles, lines of at most 42 Latin or 20 Chinese characters and 7 s; tsv has \
start and end in milliseconds and the text of each. They need a model that says times, as `triton-funasr repo --outputs all` makes it.

The exit code is 1 when a recording failed, and when subtitles are asked of a model without times.")]
    Transcribe(Transcribe),
    /// Print completions for a shell
    #[command(after_help = "\
Examples:
  triton-funasr completions bash > /etc/bash_completion.d/triton-funasr
  triton-funasr completions zsh > ~/.zfunc/_triton-funasr")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    process::main(|| run(Options::parse().task))
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Repo { task } => repo::repo(&task),
        Task::Check(options) => check::check(&options),
        Task::Install(options) => install::install(&options),
        Task::Serve { serve, programs } => serve::serve(serve, || programs.find()),
        Task::Gateway(front) => gateway::gateway(&front),
        Task::Transcribe(options) => transcribe::transcribe(&options),
        Task::Completions { shell } => {
            let mut command = Options::command();
            clap_complete::generate(shell, &mut command, "triton-funasr", &mut io::stdout());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_all_commands_are_well_formed() {
        Options::command().debug_assert();
    }
}
