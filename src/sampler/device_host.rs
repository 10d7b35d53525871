//! Queries on a device for arrays of the host: piece by piece, so that copies and work overlap.

use std::ops::Range;

use super::Lattice;
use super::device::{DeviceModel, DeviceSampler};
use super::device_arguments::{self as arguments, scalar};
use super::points::Points;
use super::results::ValuesMut;
use super::scalar::Scalar;
use crate::Result;
use crate::cpu::{Positions, TILE};
use crate::cuda::Lane;
use crate::cuda::arguments as raw;

/// Bytes of a piece, about.
const PIECE: usize = 1 << 20;

/// Fewest points of a piece.
const FEWEST: usize = 1 << 10;

/// A piece that is on its way.
type Pending = Option<Range<usize>>;

impl DeviceSampler {
    /// Values at `points`, both in memory of the host; waits for them. While one piece is computed,
    /// the next is copied there and the one before back.
    ///
    /// Parameters that were bound on a stream must have got to the end of it.
    ///
    /// # Errors
    /// As [`DeviceSampler::query`]; `OutOfMemory`, and what the device says. Then some values may
    /// have been written.
    pub fn query_host(&self, points: &Points<'_>, values: &mut ValuesMut<'_>) -> Result<()> {
        let runtime = self.model().runtime();
        runtime.check_points(points)?;
        let (kind, dims) = (points.scalar(), points.dims());
        let number = kind.bytes() as usize;
        self.by_pieces(points.len(), values, |lane, range| {
            let bytes = pack(points, range.clone(), lane.input.1.bytes());
            lane.upload(bytes)?;
            let (first, stride) = (lane.input.0.address(), dims * number);
            Ok(raw::Points {
                axes: [0, 1, 2].map(|axis| first + (axis * number) as u64),
                strides: [stride as i64; 3],
                scalar: scalar(kind),
                ..Default::default()
            })
        })
    }

    /// Values at the points of a lattice, to memory of the host; waits for them.
    ///
    /// # Errors
    /// As [`DeviceSampler::query_host`].
    pub fn query_lattice_host(&self, lattice: &Lattice, values: &mut ValuesMut<'_>) -> Result<()> {
        lattice.check(self.model().runtime().model().spec().axes.len())?;
        self.by_pieces(lattice.points().unwrap_or(0), values, |_, range| {
            Ok(raw::Points { first: range.start as u64, ..arguments::lattice(lattice) })
        })
    }

    /// `send` queues what a piece needs there and says where its points are.
    fn by_pieces(
        &self,
        count: usize,
        values: &mut ValuesMut<'_>,
        mut send: impl FnMut(&mut Lane, Range<usize>) -> Result<raw::Points>,
    ) -> Result<()> {
        let model = self.model();
        model.runtime().check_room(count, values)?;
        if count == 0 {
            return Ok(());
        }
        let piece = piece(model);
        let mut lanes = model.take_lanes(piece)?;
        let mut pending: [Pending; 2] = [None, None];
        for (n, start) in (0..count).step_by(piece).enumerate() {
            let (lane, pending) = (&mut lanes[n % 2], &mut pending[n % 2]);
            self.receive(lane, pending.take(), values)?;
            let range = start..count.min(start + piece);
            let points = send(lane, range.clone())?;
            self.queue_piece(lane, points, range.len(), values)?;
            *pending = Some(range);
        }
        // The older one first.
        let last = count.div_ceil(piece);
        for n in [last, last + 1] {
            self.receive(&mut lanes[n % 2], pending[n % 2].take(), values)?;
        }
        model.give_lanes(lanes);
        Ok(())
    }

    fn queue_piece(
        &self,
        lane: &mut Lane,
        points: raw::Points,
        count: usize,
        values: &ValuesMut<'_>,
    ) -> Result<()> {
        let outputs = values.outputs();
        let kind = kind_there(values);
        let number = kind.bytes() as usize;
        let results = raw::Results {
            data: lane.output.0.address(),
            value_stride: number as i64,
            strides: [(outputs * number) as i64, 0, 0],
            scalar: scalar(kind),
            components: 1,
            ..Default::default()
        };
        // SAFETY: the lane has room for so many points and results, and is waited for before it is
        // used again or dropped.
        unsafe { self.queue(points, results, count, lane.stream())? };
        lane.download(count * outputs * number)
    }

    /// Waits for a piece and writes its values.
    fn receive(&self, lane: &mut Lane, piece: Pending, values: &ValuesMut<'_>) -> Result<()> {
        let Some(range) = piece else { return Ok(()) };
        lane.finish()?;
        let kind = kind_there(values);
        let number = kind.bytes() as usize;
        let mut row = vec![0.0; values.outputs()];
        let rows = lane.output.1.bytes().chunks_exact(number * row.len());
        for (i, bytes) in range.zip(rows) {
            for (value, bytes) in row.iter_mut().zip(bytes.chunks_exact(number)) {
                // SAFETY: as many bytes as the type has.
                *value = unsafe { kind.read(bytes.as_ptr()) };
            }
            // SAFETY: nobody else writes these values: they are borrowed.
            unsafe { values.set(i, &row) };
        }
        Ok(())
    }
}

/// Points of a piece.
fn piece(model: &DeviceModel) -> usize {
    let spec = model.runtime().model().spec();
    let numbers = spec.outputs().max(spec.axes.len());
    (PIECE / (numbers * size_of::<f64>())).max(FEWEST)
}

impl DeviceModel {
    /// Two lanes for pieces of so many points, new ones if all others are in use.
    fn take_lanes(&self, piece: usize) -> Result<[Lane; 2]> {
        let idle = self.lanes.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        if let Some(lanes) = idle {
            return Ok(lanes);
        }
        let spec = self.runtime().model().spec();
        let [input, output] =
            [spec.axes.len(), spec.outputs()].map(|numbers| piece * numbers * size_of::<f64>());
        let lane = || Lane::new(self.machine(), input, output);
        Ok([lane()?, lane()?])
    }

    fn give_lanes(&self, lanes: [Lane; 2]) {
        self.lanes.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(lanes);
    }
}

/// What results come back as: 32 bits are enough unless they are rounded from more.
fn kind_there(values: &ValuesMut<'_>) -> Scalar {
    match values.layout().0 {
        Scalar::F32 => Scalar::F32,
        Scalar::F64 | Scalar::F16 => Scalar::F64,
    }
}

/// Writes the points of a range without gaps, in their own type. Returns how many bytes these are.
fn pack(points: &Points<'_>, range: Range<usize>, room: &mut [u8]) -> usize {
    let (kind, dims) = (points.scalar(), points.dims());
    let number = kind.bytes() as usize;
    let mut positions = Positions { len: 0, axes: [[0.0; TILE]; 3] };
    let mut rows = room.chunks_exact_mut(dims * number);
    for start in range.clone().step_by(TILE) {
        points.read(start, &mut positions);
        for (i, row) in (0..positions.len.min(range.end - start)).zip(&mut rows) {
            for (axis, bytes) in row.chunks_exact_mut(number).enumerate() {
                let x = positions.axes[axis][i];
                match kind {
                    Scalar::F32 => bytes.copy_from_slice(&(x as f32).to_ne_bytes()),
                    Scalar::F64 | Scalar::F16 => bytes.copy_from_slice(&x.to_ne_bytes()),
                }
            }
        }
    }
    range.len() * dims * number
}
