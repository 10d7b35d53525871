//! `drr-train render`

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use drr::{OpenOptions, RenderOptions, RenderOutput, Runtime, Sampler, SamplerOptions, ValuesMut};

use super::print;
use super::query_picture::parse_size;
use crate::data::Camera;
use crate::eval::pictures::encode_rgba;
use crate::eval::scene::of_library;
use crate::files::write_atomically;
use crate::progress::Progress;

/// Draw the radiance field of a baked file as seen on a way around it.
///
/// Frames are PNG files with transparency; with --background, opaque ones.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The baked file
    file: PathBuf,
    /// Folder of the frames; made if it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Frames of a whole turn
    #[arg(long, value_name = "N", default_value_t = 24)]
    frames: usize,
    /// Size of the frames
    #[arg(long, value_name = "WxH", value_parser = parse_size, default_value = "400x400")]
    size: [usize; 2],
    /// Distance of the camera from the middle of the box [default: 4/3 of the box' edge]
    #[arg(long, value_name = "X")]
    distance: Option<f64>,
    /// Height of the camera in degrees above the middle
    #[arg(long, value_name = "DEG", default_value_t = 30.0, allow_hyphen_values = true)]
    elevation: f64,
    /// Angle of the view along the width, in degrees
    #[arg(long, value_name = "DEG", default_value_t = 39.6)]
    angle: f64,
    /// Distance of samples along a ray [default: the file's]
    #[arg(long, value_name = "X")]
    step: Option<f64>,
    /// Red, green, blue from 0 to 1 behind the scene
    #[arg(long, value_name = "R,G,B", value_delimiter = ',')]
    background: Option<Vec<f64>>,
}

const EXAMPLES: &str = "\
Examples:
  drr-train render scene.drr.safetensors -o frames
  drr-train render scene.drr.safetensors -o frames --frames 120 --size 800x800 --background 1,1,1
  ffmpeg -framerate 24 -i frames/frame-%04d.png orbit.mp4";

/// # Errors
/// If the file is no radiance field, or a frame cannot be written.
pub fn run(arguments: Arguments) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let open = OpenOptions { threads, ..Default::default() };
    let runtime = Runtime::open(&arguments.file, &open)?;
    let parameters = runtime.model().spec().parameters.len();
    ensure!(
        parameters == 0,
        "{}: it has {parameters} parameters, expected none",
        arguments.file.display()
    );
    let sampler = Sampler::new(&runtime, &[], &SamplerOptions::default())?;
    sampler.check_radiance()?;
    let options = options(&arguments)?;
    std::fs::create_dir_all(&arguments.output)
        .with_context(|| format!("cannot make {}", arguments.output.display()))?;
    let progress = Progress::new("drawing", "frames", arguments.frames as u64);
    let [width, height] = arguments.size;
    let mut pixels = Vec::new();
    pixels
        .try_reserve_exact(width * height * 4)
        .with_context(|| format!("--size {width}x{height}: so many pixels fit no memory"))?;
    pixels.resize(width * height * 4, 0.0f32);
    for frame in 0..arguments.frames {
        progress.check_interrupt()?;
        let camera = camera(&arguments, &runtime, frame);
        let mut room = ValuesMut::packed(&mut pixels, 4)?;
        sampler.render(&of_library(&camera), arguments.size, &options, &mut room, None)?;
        let path = arguments.output.join(format!("frame-{frame:04}.png"));
        let png = encode_rgba(&straight(&pixels), (u32::try_from(width)?, u32::try_from(height)?))
            .with_context(|| format!("cannot encode {}", path.display()))?;
        write_atomically(&path, &png)?;
        progress.advance(1);
    }
    progress.finish();
    print(format_args!("{}: {} frames", arguments.output.display(), arguments.frames))
}

fn options(arguments: &Arguments) -> Result<RenderOptions<'static>> {
    let mut options = RenderOptions { step: arguments.step, ..Default::default() };
    if let Some(background) = &arguments.background {
        let [r, g, b] = background[..] else {
            anyhow::bail!("--background {background:?}: expected three numbers");
        };
        (options.background, options.output) = ([r, g, b], RenderOutput::Opaque);
    }
    ensure!(
        arguments.angle > 0.0 && arguments.angle < 180.0,
        "--angle {}: expected degrees between 0 and 180",
        arguments.angle
    );
    Ok(options)
}

/// The camera of a frame.
fn camera(arguments: &Arguments, runtime: &Runtime, frame: usize) -> Camera {
    let axes = &runtime.model().spec().axes;
    let middle = std::array::from_fn(|k| 0.5 * (axes[k].min + axes[k].max));
    let edge = axes.iter().map(|axis| axis.max - axis.min).fold(0.0, f64::max);
    let distance = arguments.distance.unwrap_or(edge * 4.0 / 3.0);
    let turn = std::f64::consts::TAU * frame as f64 / arguments.frames as f64;
    let elevation = arguments.elevation.to_radians();
    let away = [elevation.cos() * turn.cos(), elevation.cos() * turn.sin(), elevation.sin()];
    let position = std::array::from_fn(|k| middle[k] + distance * away[k]);
    let focal = 0.5 * arguments.size[0] as f64 / (0.5 * arguments.angle.to_radians()).tan();
    Camera::looking_at(position, middle, focal, arguments.size)
}

/// Bytes of colours that are not multiplied by their opacity, as PNG files have them.
fn straight(pixels: &[f32]) -> Vec<u8> {
    let byte = |value: f32| (value * 255.0).round().clamp(0.0, 255.0) as u8;
    let pixel = |&[r, g, b, a]: &[f32; 4]| {
        let by = 1.0 / a.max(1e-6);
        [byte(r * by), byte(g * by), byte(b * by), byte(a)]
    };
    pixels.as_chunks::<4>().0.iter().flat_map(pixel).collect()
}
