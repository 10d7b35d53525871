//! Large pictures are in memory once, as small as in the file: 23466 x 20000 in RGB, of which single
//! precision alone would take 5.6 GB, load within 3 GiB. Here smaller ones, with a limit in proportion.
//! A file of its own: it measures the memory of its process.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use drr_train::config::DatasetConfig;
use drr_train::data::{Ensemble, Field, LoadOptions};
use image::ImageEncoder;
use image::codecs::jpeg::JpegEncoder;

const WIDTH: usize = 4001;
const HEIGHT: usize = 3001;

/// 3 GiB for the bytes of the large picture: what this one may take for each of its bytes.
const SHARE: f64 = 3.0 * (1u64 << 30) as f64 / (23466.0 * 20000.0 * 3.0);

fn samples() -> Vec<u8> {
    let sample = |n: usize| {
        let (x, y, channel) = (n / 3 % WIDTH, n / 3 / WIDTH, n % 3);
        (x / 16 + y / 32 * (channel + 1)) as u8
    };
    (0..WIDTH * HEIGHT * 3).map(sample).collect()
}

fn write(path: &Path, samples: &[u8]) {
    let (width, height) = (WIDTH as u32, HEIGHT as u32);
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("png") => {
            let mut encoder = png::Encoder::new(file, width, height);
            encoder.set_color(png::ColorType::Rgb);
            encoder.set_compression(png::Compression::Fast);
            let mut writer = encoder.write_header().expect("a header");
            writer.write_image_data(samples).expect("a picture");
        }
        Some("tif") => {
            let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).expect("a header");
            let write =
                encoder.write_image::<tiff::encoder::colortype::RGB8>(width, height, samples);
            write.expect("a picture");
        }
        _ => {
            let encoder = JpegEncoder::new_with_quality(file, 90);
            let color = image::ExtendedColorType::Rgb8;
            encoder.write_image(samples, width, height, color).expect("a picture");
        }
    }
}

/// A number of bytes in this process's status.
fn status(key: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("a status");
    let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("a line");
    let kilobytes = line.trim_matches([':', ' ', '\t']).split(' ').next().expect("a number");
    kilobytes.parse::<u64>().expect("a number") * 1024
}

#[test]
fn pictures_take_little_more_than_their_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a.png", "a.tif", "a.jpg"] {
        fs::write(folder.path().join("params.csv"), format!("file,p\n{name},1\n"))
            .expect("a table");
        write(&folder.path().join(name), &samples());
        let config =
            DatasetConfig { data: Some(folder.path().to_owned()), ..DatasetConfig::default() };
        let before = status("VmRSS");
        // The peak is counted from here.
        fs::write("/proc/self/clear_refs", "5").expect("a peak to forget");
        let options = LoadOptions { model_dims: 2, components: 3 };
        let ensemble = Ensemble::load(&config, &options).expect("an ensemble");
        let taken = status("VmHWM").saturating_sub(before);
        let bytes = (WIDTH * HEIGHT * 3) as f64;
        assert!((taken as f64) < SHARE * bytes, "{name}: {taken} bytes for {bytes} of samples");
        let field = ensemble.field(0).expect("a field");
        assert!(matches!(*field, Field::Bytes(..)), "{name}");
        let scale = &ensemble.normalization;
        assert!(scale.min < 5.0 && scale.max > 250.0, "{name}: {scale:?}");
        let (expected, at) = (samples(), 3 * (1234 * WIDTH + 567) + 1);
        let slack = if name == "a.jpg" { 12.0 } else { 1e-4 };
        let found = ensemble.denormalize(field.at(at));
        assert!((found - f64::from(expected[at])).abs() < slack, "{name}: {found}");
    }
}
