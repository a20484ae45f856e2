//! What becomes of an export of each kind.

use anyhow::Result;

use super::assembly::Assembly;
use super::device::Device;
use super::kind::Kind;
use super::options::Options;
use super::{audio, paraformer, paraformer_online, sensevoice};

/// Finds and checks the pieces; the error tells everything that is missing or does not fit.
pub(super) fn plan(kind: Kind, options: &Options) -> Result<Assembly> {
    let mut assembly = match kind {
        Kind::Sensevoice => sensevoice::plan(options),
        Kind::Paraformer => paraformer::plan(options),
        Kind::ParaformerOnline => paraformer_online::plan(options),
    }?;
    if options.common.audio {
        assembly.replacements.extend(audio::replacements(kind));
    }
    let device = options.common.device.map(Device::replacement);
    assembly.replacements.extend(device);
    Ok(assembly)
}
