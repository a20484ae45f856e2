//! The bill of materials: which crates of others are in the libraries and the tool, in CycloneDX's JSON.

use anyhow::{Result, bail};
use cyclonedx_bom::models::component::{Classification, Component, Components};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::prelude::*;

use crate::layout::Layout;
use crate::notices::{self, Crate};

/// The file. It says no time and no number of its own, so that it comes out the same each time.
pub(super) fn write(layout: &Layout, version: &str) -> Result<Vec<u8>> {
    let crates = notices::crates(layout)?;
    let components = crates.iter().map(component).collect::<Result<Vec<_>>>()?;
    let mut whole = Component::new(Classification::Application, "triton-funasr", version, None);
    whole.licenses = Some(licence("Apache-2.0"));
    let bom = Bom {
        serial_number: None,
        metadata: Some(Metadata {
            component: Some(whole),
            ..Metadata::default()
        }),
        components: Some(Components(components)),
        ..Bom::default()
    };
    let checked = bom.validate();
    if checked.has_errors() {
        bail!("the bill of materials is not valid: {checked:?}");
    }
    let mut bytes = Vec::new();
    bom.output_as_json_v1_5(&mut bytes)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn component(each: &Crate) -> Result<Component> {
    let version = each.version.to_string();
    let purl = Purl::new("cargo", &each.name, &version)?;
    let mut component = Component::new(
        Classification::Library,
        &each.name,
        &version,
        Some(purl.to_string()),
    );
    component.purl = Some(purl);
    component.licenses = Some(licence(&each.expression));
    let programs = each.programs.iter();
    let within = programs.map(|program| Property::new("triton-funasr:in", program));
    component.properties = Some(Properties(within.collect()));
    Ok(component)
}

fn licence(expression: &str) -> Licenses {
    Licenses(vec![LicenseChoice::Expression(SpdxExpression::new(
        expression,
    ))])
}
