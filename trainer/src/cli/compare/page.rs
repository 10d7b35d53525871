//! The comparison as one HTML page that needs nothing beside it.

use std::fmt::Write;
use std::path::Path;

use super::table::{LEGEND, Section};
use crate::eval::html::{STYLE, data, escape};

/// The page. `curves` are pictures by the names of sections; runs are in OUT/SECTION/RUN.
pub fn html(sections: &[Section<'_>], curves: &[(String, Vec<u8>)], out: &Path) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Comparison of models</title>\n<style>{STYLE}\nbody{{max-width:1500px}}td:first-child,\
         th:first-child{{text-align:left}}</style></head><body>\n<h1>Comparison of models</h1>\n<p>{}</p>\n",
        escape(LEGEND)
    );
    for section in sections {
        let _ = writeln!(html, "<h2>{}</h2>\n{}", escape(&section.title), section.html());
        for row in section.rows {
            if let Some(error) = &row.outcome.error {
                let _ = writeln!(html, "<p>{}: {}</p>", escape(&row.title), escape(error));
            }
        }
        if let Some((_, png)) = curves.iter().find(|(name, _)| *name == section.name) {
            let _ = writeln!(html, "<img alt=\"training courses\" src=\"{}\">", data(png));
        }
        for row in section.rows {
            let Some(picture) = slice(&out.join(&section.name).join(&row.run)) else { continue };
            let _ = writeln!(
                html,
                "<figure><figcaption><b>{}</b></figcaption><img alt=\"slices\" src=\"{}\"></figure>",
                escape(&row.title),
                data(&picture)
            );
        }
    }
    html + "</body></html>\n"
}

/// The picture of the first held-out member of a run.
fn slice(run: &Path) -> Option<Vec<u8>> {
    let files = std::fs::read_dir(run.join("eval")).ok()?;
    let pictures = files.filter_map(|file| Some(file.ok()?.path()));
    let first = pictures.filter(|path| path.extension().is_some_and(|kind| kind == "png")).min()?;
    std::fs::read(first).ok()
}
