//! Pictures of a scene from known cameras, in the form of the NeRF-synthetic scenes: a folder with
//! `transforms_SPLIT.json` and PNG files with transparency.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// A camera without distortion, in the convention of OpenGL: x to the right, y up, it looks along -z.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Three rows of four: rotation and position.
    pub to_world: [[f64; 4]; 3],
    /// In pixels.
    pub focal: f64,
    /// Of the picture, in pixels.
    pub size: [usize; 2],
}

/// A ray with a direction of length 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ray {
    /// Where it starts.
    pub origin: [f64; 3],
    /// Where it goes.
    pub direction: [f64; 3],
}

/// A picture of the scene.
pub struct View {
    /// Name of its file.
    pub name: String,
    /// Where it was taken.
    pub camera: Camera,
    /// `[height, width, 4]`, from 0 to 1; colours are not multiplied with the opacity.
    pub pixels: Vec<[f32; 4]>,
}

/// Pictures of one split.
pub struct Views {
    /// All of the same size.
    pub views: Vec<View>,
}

#[derive(Deserialize)]
struct Transforms {
    camera_angle_x: f64,
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    file_path: String,
    transform_matrix: Vec<Vec<f64>>,
}

impl Camera {
    /// The ray through a pixel; whole numbers are the upper left corners of pixels.
    pub fn ray(&self, x: f64, y: f64) -> Ray {
        let [width, height] = self.size.map(|n| n as f64);
        let seen = [(x - 0.5 * width) / self.focal, (0.5 * height - y) / self.focal, -1.0];
        let turned = self.to_world.map(|row| (0..3).map(|k| row[k] * seen[k]).sum::<f64>());
        let length = turned.iter().map(|v| v * v).sum::<f64>().sqrt();
        Ray { origin: self.to_world.map(|row| row[3]), direction: turned.map(|v| v / length) }
    }

    /// The camera at `position` that looks at `target`, with z up in the world.
    pub fn looking_at(position: [f64; 3], target: [f64; 3], focal: f64, size: [usize; 2]) -> Self {
        let back = unit(std::array::from_fn(|k| position[k] - target[k]));
        // Straight from above or below, any direction is to the right.
        let across = [-back[1], back[0], 0.0];
        let right = if across == [0.0; 3] { [1.0, 0.0, 0.0] } else { unit(across) };
        let up = [
            back[1] * right[2] - back[2] * right[1],
            back[2] * right[0] - back[0] * right[2],
            back[0] * right[1] - back[1] * right[0],
        ];
        let to_world = std::array::from_fn(|k| [right[k], up[k], back[k], position[k]]);
        Self { to_world, focal, size }
    }
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.map(|x| x / length)
}

impl View {
    /// Colours in front of `background`, `[height, width, 3]`.
    pub fn over(&self, background: [f32; 3]) -> Vec<[f32; 3]> {
        let over = |&[r, g, b, a]: &[f32; 4]| {
            let colour = [r, g, b];
            std::array::from_fn(|k| colour[k] * a + background[k] * (1.0 - a))
        };
        self.pixels.iter().map(over).collect()
    }
}

impl Views {
    /// Reads the pictures of `split` (`train`, `val`, `test`) in `folder`, each reduced by `downscale`
    /// along both edges; `watch` is told after each picture.
    ///
    /// # Errors
    /// Anything missing, damaged or of another size than the first picture; the file is named.
    pub fn load(
        folder: &Path,
        split: &str,
        downscale: usize,
        watch: &mut dyn FnMut(usize, usize) -> Result<()>,
    ) -> Result<Self> {
        let path = folder.join(format!("transforms_{split}.json"));
        let text = fs::read(&path).with_context(|| {
            format!(
                "cannot read {}: expected the folder of a scene in NeRF-synthetic form",
                path.display()
            )
        })?;
        let transforms: Transforms = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not as expected", path.display()))?;
        ensure!(!transforms.frames.is_empty(), "{}: it has no frames", path.display());
        let angle = transforms.camera_angle_x;
        ensure!(
            angle > 0.0 && angle < std::f64::consts::PI,
            "{}: camera_angle_x is {angle}, expected radians between 0 and pi",
            path.display()
        );
        let count = transforms.frames.len();
        let mut views: Vec<View> = Vec::with_capacity(count);
        for (n, frame) in transforms.frames.iter().enumerate() {
            let view = View::read(folder, frame, angle, downscale)
                .with_context(|| format!("{}, frame {n}", path.display()))?;
            if let Some(first) = views.first()
                && first.camera.size != view.camera.size
            {
                bail!(
                    "{}: its size is {:?}, that of {} {:?}",
                    view.name,
                    view.camera.size,
                    first.name,
                    first.camera.size
                );
            }
            views.push(view);
            watch(n + 1, count)?;
        }
        Ok(Self { views })
    }
}

impl View {
    fn read(folder: &Path, frame: &Frame, angle: f64, downscale: usize) -> Result<Self> {
        let to_world = read_matrix(&frame.transform_matrix)?;
        let path = find_picture(folder, &frame.file_path)?;
        let picture =
            image::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let picture = picture.to_rgba8();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let size = [width / downscale, height / downscale];
        ensure!(
            size[0] > 0 && size[1] > 0,
            "{}: {width} x {height} pixels cannot be reduced by {downscale}",
            path.display()
        );
        let pixels = reduced(picture.as_raw(), width, size, downscale);
        // The angle is that of the whole picture; pixels that are left over at the right are none.
        let focal = 0.5 * width as f64 / (0.5 * angle).tan() / downscale as f64;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, camera: Camera { to_world, focal, size }, pixels })
    }
}

/// Means over squares of pixels; colours weigh as much as they are opaque.
fn reduced(rgba: &[u8], width: usize, size: [usize; 2], by: usize) -> Vec<[f32; 4]> {
    let mut pixels = Vec::with_capacity(size[0] * size[1]);
    for y in 0..size[1] {
        for x in 0..size[0] {
            let mut sum = [0.0f32; 4];
            for inner in 0..by * by {
                let at = ((y * by + inner / by) * width + x * by + inner % by) * 4;
                let alpha = f32::from(rgba[at + 3]) / 255.0;
                for k in 0..3 {
                    sum[k] += f32::from(rgba[at + k]) / 255.0 * alpha;
                }
                sum[3] += alpha;
            }
            let opaque = sum[3].max(f32::MIN_POSITIVE);
            let [r, g, b, a] = sum;
            pixels.push([r / opaque, g / opaque, b / opaque, a / (by * by) as f32]);
        }
    }
    pixels
}

/// Paths in the files have no extension, as a rule.
fn find_picture(folder: &Path, given: &str) -> Result<PathBuf> {
    let plain = folder.join(given);
    let with_extension = folder.join(format!("{given}.png"));
    match [&with_extension, &plain].into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => bail!("there is no picture {}", with_extension.display()),
    }
}

fn read_matrix(rows: &[Vec<f64>]) -> Result<[[f64; 4]; 3]> {
    let usable = rows.len() >= 3 && rows.iter().all(|row| row.len() == 4);
    ensure!(
        usable && rows.iter().flatten().all(|x| x.is_finite()),
        "transform_matrix: expected four rows of four finite numbers, given {rows:?}"
    );
    let matrix: [[f64; 4]; 3] = std::array::from_fn(|row| std::array::from_fn(|k| rows[row][k]));
    // Columns of a rotation have length 1; others would bend distances along rays.
    let turned = (0..3).all(|k| {
        let length = (0..3).map(|row| matrix[row][k].powi(2)).sum::<f64>();
        (length - 1.0).abs() < 1e-3
    });
    ensure!(turned, "transform_matrix: {rows:?} is no rotation and position");
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rays_go_through_pixels() {
        let camera = Camera::looking_at([4.0, 0.0, 0.0], [0.0; 3], 50.0, [100, 80]);
        let centre = camera.ray(50.0, 40.0);
        assert_eq!(centre.origin, [4.0, 0.0, 0.0]);
        assert_eq!(centre.direction, [-1.0, 0.0, 0.0]);
        // From there, y is to the right and z up.
        let right = camera.ray(100.0, 40.0).direction;
        assert!((right[1] - 0.5f64.sqrt()).abs() < 1e-12 && right[2] == 0.0, "{right:?}");
        assert!(camera.ray(50.0, 0.0).direction[2] > 0.0, "the first row is at the top");
    }

    #[test]
    fn transparent_pixels_lend_no_colour() {
        let picture = [255, 0, 0, 255, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0];
        let pixels = reduced(&picture, 2, [1, 1], 2);
        assert_eq!(pixels, [[1.0, 0.0, 0.0, 0.5]]);
        let whole = reduced(&picture, 2, [2, 2], 1);
        assert_eq!(whole[0], [1.0, 0.0, 0.0, 1.0]);
    }
}
