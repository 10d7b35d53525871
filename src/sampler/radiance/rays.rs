//! Where rays begin, where they go, and between which distances they are within the domain.

use super::{Camera, DepthKind, RenderOptions};
use crate::Points;
use crate::cpu::{HARMONICS, Positions, TILE, harmonics};
use crate::model::spec::Axis;

/// Pixels of an item of work, horizontal and vertical: neighbours need the same vertices, and all
/// together fill tiles until nearly all of them have ended.
const BLOCK: [usize; 2] = [24, 16];

/// Rays of an item of work that are given one by one: whole tiles.
const CHUNK: usize = 8 * TILE;

/// Where the rays of a picture come from.
pub enum Rays<'a> {
    /// One for each pixel of a picture, `[width, height]`.
    Camera { camera: &'a Camera, size: [usize; 2] },
    /// As the caller has them.
    Given { origins: &'a Points<'a>, directions: &'a Points<'a> },
}

/// A ray as it is given.
pub struct Line {
    /// Its number among all.
    pub index: usize,
    pub origin: [f64; 3],
    /// Of any length.
    pub direction: [f64; 3],
    /// Length along the ray per depth along the camera's axis.
    pub slant: f64,
}

impl Rays<'_> {
    /// Number of items of work that `count` rays are.
    pub fn items(&self, count: usize) -> usize {
        match self {
            Self::Camera { size: [width, height], .. } => {
                width.div_ceil(BLOCK[0]) * height.div_ceil(BLOCK[1])
            }
            Self::Given { .. } => count.div_ceil(CHUNK),
        }
    }

    /// Calls `each` with the rays of an item.
    pub fn of_item(&self, item: usize, mut each: impl FnMut(Line)) {
        match *self {
            Self::Camera { camera, size: [width, height] } => {
                let across = width.div_ceil(BLOCK[0]);
                let (left, top) = (item % across * BLOCK[0], item / across * BLOCK[1]);
                for y in top..height.min(top + BLOCK[1]) {
                    for x in left..width.min(left + BLOCK[0]) {
                        each(camera.line(y * width + x, [x, y]));
                    }
                }
            }
            Self::Given { origins, directions } => {
                let end = origins.len().min((item + 1) * CHUNK);
                for start in (item * CHUNK..end).step_by(TILE) {
                    let [from, to] = [origins, directions].map(|points| tile(points, start));
                    for i in 0..from.len.min(end - start) {
                        let [origin, direction] = [&from, &to].map(|p| p.axes.map(|x| x[i]));
                        each(Line { index: start + i, origin, direction, slant: 1.0 });
                    }
                }
            }
        }
    }
}

impl Camera {
    fn line(&self, index: usize, pixel: [usize; 2]) -> Line {
        let [u, v] = [0, 1].map(|k| (pixel[k] as f64 + 0.5 - self.centre[k]) / self.focal[k]);
        // Down the picture is down in the camera's coordinates, where y is up.
        let seen = [u, -v, -1.0];
        let direction = self.to_world.map(|row| row[0] * seen[0] + row[1] * seen[1] - row[2]);
        let origin = self.to_world.map(|row| row[3]);
        Line { index, origin, direction, slant: length(direction) }
    }
}

/// The points from `start` on, as many as there are up to a tile.
pub fn tile(points: &Points<'_>, start: usize) -> Positions {
    let mut positions = Positions { len: 0, axes: [[0.0; TILE]; 3] };
    points.read(start, &mut positions);
    positions
}

/// Number of the first direction that is none.
pub fn zero_direction(directions: &Points<'_>) -> Option<usize> {
    let starts = (0..directions.len()).step_by(TILE);
    starts.into_iter().find_map(|start| {
        let Positions { len, axes } = tile(directions, start);
        let first = (0..len).find(|&i| axes.iter().all(|x| x[i] == 0.0));
        first.map(|i| start + i)
    })
}

/// The same direction with length 1; NaN where it has none.
pub fn unit(direction: [f64; 3]) -> [f64; 3] {
    let largest = direction.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let scaled = direction.map(|x| x / largest);
    let length = length(scaled);
    scaled.map(|x| x / length)
}

fn length([x, y, z]: [f64; 3]) -> f64 {
    (x * x + y * y + z * z).sqrt()
}

/// The nearest normalised coordinate within the domain; one that is not NaN.
pub fn to_border(x: f64) -> f64 {
    if x > -1.0 { x.min(1.0) } else { -1.0 }
}

/// The domain's box.
pub struct Bounds {
    min: [f64; 3],
    max: [f64; 3],
}

impl Bounds {
    /// Of three axes.
    pub fn new(axes: &[Axis]) -> Self {
        let end = |end: fn(&Axis) -> f64| std::array::from_fn(|k| axes.get(k).map_or(0.0, end));
        Self { min: end(|axis| axis.min), max: end(|axis| axis.max) }
    }

    /// Normalised coordinates: from -1 to 1 within.
    pub fn normalized(&self, point: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|k| {
            2.0 * ((point[k] - self.min[k]) / (self.max[k] - self.min[k])) - 1.0
        })
    }

    /// From where to where a ray is within; nowhere if the first is not less.
    fn within(&self, origin: [f64; 3], direction: [f64; 3]) -> [f64; 2] {
        let (mut enter, mut exit) = (f64::NEG_INFINITY, f64::INFINITY);
        for k in 0..3 {
            let (o, d) = (origin[k], direction[k]);
            if d == 0.0 {
                if o < self.min[k] || o > self.max[k] {
                    return [f64::INFINITY; 2];
                }
                continue;
            }
            let (a, b) = ((self.min[k] - o) / d, (self.max[k] - o) / d);
            enter = enter.max(a.min(b));
            exit = exit.min(a.max(b));
        }
        [enter, exit]
    }
}

/// A ray on its way.
pub struct Ray {
    /// Its number among all.
    pub index: usize,
    /// In normalised coordinates, where it begins and how it moves per unit of length.
    pub start: [f64; 3],
    pub slope: [f64; 3],
    /// Distances between which it is followed.
    pub first: f64,
    pub last: f64,
    /// Where it ends if there is nothing, at the domain's border or not.
    pub end: f64,
    /// As in [`Line`].
    pub slant: f64,
    /// Of its direction.
    pub harmonics: [f64; HARMONICS],
    /// Number of the next sample.
    pub next: u32,
    /// The part of the light that passes what was met.
    pub clear: f64,
    /// Sums over what was met, weighted by what is seen of it.
    pub colour: [f64; 3],
    pub distance: f64,
}

impl Ray {
    /// A ray of a picture; one that is not to be followed has nothing between `first` and `last`,
    /// and if a number of it is NaN, all of it is.
    pub fn new(line: &Line, bounds: &Bounds, options: &RenderOptions<'_>) -> Self {
        let Line { index, origin, slant, .. } = *line;
        let direction = unit(line.direction);
        let scene = options.scene_depth.map_or(f64::INFINITY, |depths| depths.at(index, 0));
        let scene = match options.depth {
            DepthKind::AlongRay => scene,
            DepthKind::AlongAxis => scene * slant,
        };
        let is_nan = origin.iter().chain(&direction).chain([&scene]).any(|x| x.is_nan());
        let [enter, exit] = bounds.within(origin, direction);
        let end = options.far.min(scene);
        let (first, last) = (options.near.max(enter), end.min(exit));
        let is_seen = first < last && !is_nan;
        Self {
            index,
            start: bounds.normalized(origin),
            slope: std::array::from_fn(|k| 2.0 * direction[k] / (bounds.max[k] - bounds.min[k])),
            first,
            last: if is_seen { last } else { f64::NEG_INFINITY },
            end,
            slant,
            harmonics: if is_seen { harmonics(direction) } else { [0.0; HARMONICS] },
            next: 0,
            clear: if is_nan { f64::NAN } else { 1.0 },
            colour: [0.0; 3],
            distance: 0.0,
        }
    }

    /// Adds a sample at distance `t` that hides so much of what is behind it; its weight is
    /// returned, for its colour.
    pub fn meet(&mut self, t: f64, opacity: f64) -> f64 {
        let weight = self.clear * opacity;
        self.clear *= 1.0 - opacity;
        self.distance += weight * t;
        weight
    }

    /// Whether nothing that it may still meet counts.
    pub fn is_done(&self, stop: f64) -> bool {
        self.clear < stop || self.clear.is_nan()
    }

    /// Red, green, blue, opacity.
    pub fn rgba(&self, options: &RenderOptions<'_>) -> [f64; 4] {
        let [r, g, b] = self.colour;
        if self.clear.is_nan() {
            return [f64::NAN; 4];
        }
        match options.output {
            super::RenderOutput::Premultiplied => [r, g, b, 1.0 - self.clear],
            super::RenderOutput::Opaque => {
                let [red, green, blue] = options.background.map(|x| self.clear * x);
                [r + red, g + green, b + blue, 1.0]
            }
        }
    }

    /// How far away what it met is.
    pub fn depth(&self, options: &RenderOptions<'_>) -> f64 {
        let opacity = 1.0 - self.clear;
        let t = if opacity == 0.0 { self.end } else { self.distance / opacity };
        match options.depth {
            DepthKind::AlongRay => t,
            DepthKind::AlongAxis => t / self.slant,
        }
    }
}
