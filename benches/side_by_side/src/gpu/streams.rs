//! How many live streams the streaming model of the published size holds.

use anyhow::{Context, Result};

use super::kit::Kit;
use super::machine::in_use;
use super::options::{Device, Options};
use crate::console;
use crate::models::TOP;
use crate::repo::Kind;
use crate::report::{Section, Table, short};
use crate::speech;
use crate::streaming;
use crate::tools::address_of;

pub(super) fn run(kit: &Kit, options: &Options) -> Result<Section> {
    let from = kit
        .real_size("paraformer-online")
        .context("the kit has no real-size/paraformer-online")?;
    let device = options.device;
    let hold = std::time::Duration::from_secs(if options.quick { 5 } else { 8 });
    let recordings: Vec<_> = kit.recordings()?.into_iter().map(|each| each.1).collect();
    let chunks = streaming::chunks(&speech::of_seconds(&recordings, 12));
    let mut section = Section::new(
        "Streams",
        format!(
            "How many live streams hold: each sends a chunk of 600 ms every 600 ms, and 99 % of the chunks are answered within 600 ms of the \
             time they were due; each number is held for {} s.",
            hold.as_secs()
        ),
    );
    let mut table = Table::new(
        "The streaming Paraformer of the published size:",
        &["form", "streams", "p50, ms", "p99, ms", "GPU memory, MB"],
    );
    let mut all = Vec::new();
    for (name, pipelines) in [("ensemble", false), ("pipeline", true)] {
        let repository = Kit::of_one(
            options,
            "streams",
            Kind::ParaformerOnline,
            from.clone(),
            |common| {
                common.device = Some(device.of_repository());
            },
        )?;
        let server = kit.serve(options, &repository, pipelines)?;
        let address = address_of(&server)?;
        let try_out = |streams| {
            console::step("Holding", format!("{streams} streams ({name})"));
            streaming::hold(address, TOP[2], streams, hold, &chunks)
        };
        // On the GPU the first chunks wait for kernels to be loaded.
        streaming::text(address, TOP[2], &chunks)?;
        let steps = if options.quick || device == Device::Cpu {
            1
        } else {
            2
        };
        let (streams, tried) = streaming::search(try_out, steps)?;
        let memory = in_use().map_or("–".to_owned(), |(memory, _)| short(memory));
        let held = tried.iter().find(|(number, _)| *number == streams);
        let figure = |of: fn(&streaming::Held) -> f64| {
            held.map_or("–".to_owned(), |(_, held)| short(of(held)))
        };
        table.rows.push(vec![
            name.to_owned(),
            streams.to_string(),
            figure(|held| held.p50),
            figure(|held| held.p99),
            memory,
        ]);
        all.push((name, (streams, tried)));
    }
    section.tables.push(table);
    section.charts.push(streaming::chart(&all));
    Ok(section)
}
