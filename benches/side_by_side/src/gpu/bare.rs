//! ONNX Runtime with nothing around it: features that are there already, outputs that stay on the device.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use ort::ep;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::value::{DynTensor, Tensor};
use serde_json::{Value, json};

use super::kit::Kit;
use super::options::Device;
use crate::bare::write_features;
use crate::process;

/// What is run.
#[derive(Debug, clap::Args)]
pub(super) struct Job {
    /// ONNX Runtime's library
    #[arg(long)]
    library: PathBuf,
    /// An encoder
    #[arg(long)]
    model: PathBuf,
    /// A directory of NUMBER.f32, [frames, width] each
    #[arg(long)]
    features: PathBuf,
    #[arg(long)]
    width: usize,
    /// Rows of a call, of the recordings in the order of their lengths
    #[arg(long, value_delimiter = ',')]
    rows: Vec<usize>,
    #[arg(long, value_enum)]
    device: Device,
}

/// Starts it in a process of its own; returns the seconds that all recordings take, for each number of rows.
pub(super) fn measure(
    kit: &Kit,
    repository: &Path,
    recordings: &[Vec<f32>],
    rows: &[usize],
    device: Device,
) -> Result<Vec<f64>> {
    let features = repository.with_extension("features");
    let width = write_features(&repository.join("feature_extractor"), recordings, &features)?;
    let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("bare")
        .arg("--library")
        .arg(kit.onnxruntime())
        .arg("--model")
        .arg(repository.join("encoder/1/model.onnx"))
        .arg("--features")
        .arg(&features)
        .args(["--width", &width.to_string(), "--rows", &rows.join(",")])
        .args(["--device", &format!("{device:?}").to_lowercase()]);
    let answer = process::output_of(&mut command)?;
    let answer: Value = serde_json::from_str(answer.lines().last().unwrap_or_default())
        .with_context(|| format!("ONNX Runtime alone said: {answer}"))?;
    let seconds = answer["seconds"].as_array().context("no seconds")?;
    Ok(seconds.iter().filter_map(Value::as_f64).collect())
}

/// Features `[frames, width]` of a recording.
struct Row {
    frames: usize,
    values: Vec<f32>,
}

impl Job {
    /// Runs it and prints what it took, as JSON.
    pub(super) fn run(&self) -> Result<()> {
        let environment = ort::init_from(&self.library)?
            .with_telemetry(false)
            .build()?;
        let mut builder = Session::builder(&environment)?;
        if self.device == Device::Cuda {
            let cuda = ep::CUDA::default()
                .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
                .build();
            builder = builder
                .with_execution_providers([cuda.error_on_failure()])
                .map_err(ort::Error::<()>::from)?;
        }
        let mut session = builder.commit_from_file(&self.model)?;
        let mut all = self.read()?;
        all.sort_by_key(|row| row.frames);
        let mut seconds = Vec::new();
        for &rows in &self.rows {
            let mut best = f64::INFINITY;
            // The first round allocates memory for each size.
            for round in 0..3 {
                let began = Instant::now();
                for rows in all.chunks(rows.max(1)) {
                    self.call(&mut session, rows)?;
                }
                if round > 0 {
                    best = best.min(began.elapsed().as_secs_f64());
                }
            }
            seconds.push(best);
        }
        println!("{}", json!({ "seconds": seconds }));
        Ok(())
    }

    fn read(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        loop {
            let path = self.features.join(format!("{}.f32", rows.len()));
            if !path.exists() {
                return Ok(rows);
            }
            let bytes = std::fs::read(&path)?;
            let (values, _) = bytes.as_chunks();
            let values: Vec<f32> = values
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect();
            rows.push(Row {
                frames: values.len() / self.width,
                values,
            });
        }
    }

    fn call(&self, session: &mut Session, rows: &[Row]) -> Result<()> {
        let longest = rows.iter().map(|row| row.frames).max().unwrap_or(0);
        let mut speech = vec![0.0_f32; rows.len() * longest * self.width];
        for (row, place) in rows.iter().zip(speech.chunks_mut(longest * self.width)) {
            place[..row.values.len()].copy_from_slice(&row.values);
        }
        let lengths: Vec<i32> = rows.iter().map(|row| row.frames as i32).collect();
        let names: Vec<String> = session
            .inputs()
            .iter()
            .map(|input| input.name().to_owned())
            .collect();
        let mut inputs: Vec<(String, DynTensor)> = Vec::new();
        for name in names {
            let value = match &*name {
                "speech" => Tensor::from_array((
                    [rows.len(), longest, self.width],
                    std::mem::take(&mut speech),
                ))?
                .upcast(),
                "speech_lengths" => Tensor::from_array(([rows.len()], lengths.clone()))?.upcast(),
                "language" => Tensor::from_array(([rows.len()], vec![0_i32; rows.len()]))?.upcast(),
                "textnorm" => {
                    Tensor::from_array(([rows.len()], vec![15_i32; rows.len()]))?.upcast()
                }
                other => bail!("the model has an input {other}, which is not known here"),
            };
            inputs.push((name, value));
        }
        let outputs: Vec<String> = session
            .outputs()
            .iter()
            .map(|output| output.name().to_owned())
            .collect();
        let mut binding = session.create_binding()?;
        for (name, value) in &inputs {
            binding.bind_input(name, value)?;
        }
        let device = match self.device {
            Device::Cpu => AllocationDevice::CPU,
            Device::Cuda => AllocationDevice::CUDA,
        };
        let memory = MemoryInfo::new(device, 0, AllocatorType::Device, MemoryType::Default)?;
        for name in outputs {
            binding.bind_output_to_device(name, &memory)?;
        }
        session.run_binding(&binding)?;
        binding.synchronize_outputs()?;
        Ok(())
    }
}
