//! Volumes for ParaView and VTK: XML image data with raw appended numbers.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use drr::Lattice;

use crate::files::write_atomically;

/// Writes the values at the points of a lattice, `[points, names]`, as one 32-bit point array per
/// name. Spacings of 0, where there is one point, become 1, since VTK wants volumes.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, lattice: &Lattice, names: &[&str], values: &[f32]) -> Result<()> {
    let join = |numbers: &[f64]| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
    let last = lattice.dims.map(|size| size.saturating_sub(1));
    let extent = format!("0 {} 0 {} 0 {}", last[0], last[1], last[2]);
    let spacing = lattice.spacing.map(|step| if step == 0.0 { 1.0 } else { step });
    let bytes_each = values.len() / names.len().max(1) * size_of::<f32>();
    let mut xml = format!(
        "<?xml version=\"1.0\"?>\n\
         <VTKFile type=\"ImageData\" version=\"1.0\" byte_order=\"LittleEndian\" \
         header_type=\"UInt64\">\n\
         <ImageData WholeExtent=\"{extent}\" Origin=\"{}\" Spacing=\"{}\">\n\
         <Piece Extent=\"{extent}\">\n<PointData>\n",
        join(&lattice.origin),
        join(&spacing),
    );
    for (k, name) in names.iter().enumerate() {
        let offset = k * (size_of::<u64>() + bytes_each);
        let name = escaped(name);
        writeln!(
            xml,
            "<DataArray type=\"Float32\" Name=\"{name}\" format=\"appended\" offset=\"{offset}\"/>"
        )?;
    }
    xml += "</PointData>\n</Piece>\n</ImageData>\n<AppendedData encoding=\"raw\">\n_";
    let mut bytes = xml.into_bytes();
    for k in 0..names.len() {
        bytes.extend_from_slice(&(bytes_each as u64).to_le_bytes());
        bytes.extend(values[k..].iter().step_by(names.len()).flat_map(|v| v.to_le_bytes()));
    }
    bytes.extend_from_slice(b"\n</AppendedData>\n</VTKFile>\n");
    write_atomically(path, &bytes)
}

fn escaped(name: &str) -> String {
    let escape = |c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '"' => "&quot;".to_owned(),
        other => other.to_string(),
    };
    name.chars().map(escape).collect()
}
