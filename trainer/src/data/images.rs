//! Pictures as fields in the plane: PNG and JPEG by `image`, TIFF by its own `tiff`, as `image` has
//! no place for the single-channel floats and wide integers that TIFF files of measurements hold.
//!
//! Samples stay as the file has them (0 to 255, 0 to 65535), in memory, too: pictures are large. What
//! they mean in light is not looked at. The first row of a picture is the first along y.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail};
use image::{ImageDecoder, ImageFormat, ImageReader};
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{SampleFormat, Tag};

use super::formats::{check_plausible, shaped, volume};
use super::npy::Element;
use super::samples::Field;

/// Most bytes that a picture is decoded to: 23466 x 20000 in RGB are 1.4 GB. What a damaged file
/// claims beyond that is not believed.
const MOST_BYTES: u64 = 1 << 32;

/// Reads a PNG or JPEG picture: `[H, W]`, or `[H, W, channels]` if there are several. Its samples are
/// in memory once, as small as they are.
///
/// # Errors
/// The file cannot be read, is damaged, another picture than its name says, or larger than 4 GiB.
pub fn read(path: &Path) -> Result<(Vec<usize>, Field)> {
    let decoded = || -> Result<_> {
        let decoder = open(path)?;
        let (shape, wide) = shape_of(&decoder)?;
        check_plausible(path, &shape)?;
        let count = volume(&shape)?;
        let field = match wide {
            false => {
                let mut samples = vec![0u8; count];
                decoder.read_image(&mut samples)?;
                Field::of_bytes(samples)
            }
            true => {
                let mut samples = vec![0u16; count];
                // SAFETY: any bytes are numbers of 16 bits, and bytes need no alignment.
                let (_, bytes, _) = unsafe { samples.align_to_mut::<u8>() };
                decoder.read_image(bytes)?;
                Field::of_words(samples)
            }
        };
        Ok((shape, field))
    };
    decoded().with_context(|| unusable(path))
}

/// The shape of what [`read`] reads.
///
/// # Errors
/// As [`read`].
pub fn read_shape(path: &Path) -> Result<Vec<usize>> {
    open(path).and_then(|decoder| Ok(shape_of(&decoder)?.0)).with_context(|| unusable(path))
}

fn open(path: &Path) -> Result<impl ImageDecoder> {
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    let mut reader = ImageReader::open(path)?;
    reader.limits(limits);
    if reader.format() == Some(ImageFormat::Jpeg) {
        check_end(path)?;
    }
    let decoder = reader.into_decoder()?;
    if decoder.total_bytes() > MOST_BYTES {
        bail!(
            "it claims {} bytes of samples, at most {MOST_BYTES} are read",
            decoder.total_bytes()
        );
    }
    Ok(decoder)
}

/// Refuses a JPEG file without its end mark: the decoder fills what is missing with grey.
fn check_end(path: &Path) -> Result<()> {
    const END: [u8; 2] = [0xff, 0xd9];
    // Some programs fill up the last block of a file.
    const PADDING: u64 = 4096;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(PADDING)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let padding = tail.iter().rev().take_while(|&&byte| byte == 0).count();
    if !tail[..tail.len() - padding].ends_with(&END) {
        bail!("it does not end as a JPEG file does: is it all of it?");
    }
    Ok(())
}

/// Shape, and whether samples have 16 bits.
fn shape_of(decoder: &impl ImageDecoder) -> Result<(Vec<usize>, bool)> {
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let (channels, bytes) = (color.channel_count(), color.bytes_per_pixel());
    let wide = match bytes / channels {
        1 => false,
        2 => true,
        _ => bail!("its samples are {color:?}, expected 8 or 16 bits"),
    };
    Ok((shaped(&[usize::try_from(height)?, usize::try_from(width)?], channels.into()), wide))
}

/// Reads the first picture of a TIFF file: `[H, W]`, or `[H, W, channels]`; unsigned samples of 8 and
/// 16 bits stay so small.
///
/// # Errors
/// The file cannot be read, is damaged, stored in a way that is not supported, or larger than
/// 4 GiB.
pub fn read_tiff(path: &Path) -> Result<(Vec<usize>, Field)> {
    let decoded = || -> Result<_> {
        let mut decoder = open_tiff(path)?;
        let shape = tiff_shape(&mut decoder)?;
        check_plausible(path, &shape)?;
        let field = match decoder.read_image()? {
            DecodingResult::U8(samples) => Field::of_bytes(samples),
            DecodingResult::U16(samples) => Field::of_words(samples),
            DecodingResult::U32(samples) => floats(samples, f64::from),
            DecodingResult::U64(samples) => floats(samples, |sample| sample as f64),
            DecodingResult::I8(samples) => floats(samples, f64::from),
            DecodingResult::I16(samples) => floats(samples, f64::from),
            DecodingResult::I32(samples) => floats(samples, f64::from),
            DecodingResult::I64(samples) => floats(samples, |sample| sample as f64),
            DecodingResult::F16(samples) => floats(samples, f64::from),
            DecodingResult::F32(samples) => Field::Floats(samples),
            DecodingResult::F64(samples) => floats(samples, |sample| sample),
        };
        if field.len() != volume(&shape)? {
            bail!(
                "it has {} samples for the shape {shape:?}: channels one after the other are not read",
                field.len()
            );
        }
        Ok((shape, field))
    };
    decoded().with_context(|| unusable(path))
}

/// The shape of what [`read_tiff`] reads.
///
/// # Errors
/// As [`read_tiff`].
pub fn read_tiff_shape(path: &Path) -> Result<Vec<usize>> {
    open_tiff(path).and_then(|mut decoder| tiff_shape(&mut decoder)).with_context(|| unusable(path))
}

/// Bytes of a sample of what [`read`] or [`read_tiff`] reads, in memory.
///
/// # Errors
/// As theirs.
pub fn sample_bytes(path: &Path, tiff: bool) -> Result<usize> {
    let bytes = || -> Result<usize> {
        if !tiff {
            return Ok(if shape_of(&open(path)?)?.1 { 2 } else { 1 });
        }
        let mut decoder = open_tiff(path)?;
        let bits = decoder.colortype()?.bit_depth();
        let format = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?.unwrap_or_default();
        let unsigned = format.iter().all(|&kind| kind == SampleFormat::Uint.to_u16());
        Ok(match bits {
            ..=8 if unsigned => 1,
            ..=16 if unsigned => 2,
            _ => size_of::<f32>(),
        })
    };
    bytes().with_context(|| unusable(path))
}

fn open_tiff(path: &Path) -> Result<Decoder<BufReader<File>>> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::try_from(MOST_BYTES)?;
    limits.intermediate_buffer_size = usize::try_from(MOST_BYTES)?;
    Ok(Decoder::new(BufReader::new(File::open(path)?))?.with_limits(limits))
}

fn tiff_shape(decoder: &mut Decoder<BufReader<File>>) -> Result<Vec<usize>> {
    let (width, height) = decoder.dimensions()?;
    let channels = usize::from(decoder.colortype()?.num_samples());
    Ok(shaped(&[usize::try_from(height)?, usize::try_from(width)?], channels))
}

fn floats<T>(samples: Vec<T>, number: impl Fn(T) -> f64) -> Field {
    Field::Floats(samples.into_iter().map(|sample| f32::from_f64(number(sample))).collect())
}

fn unusable(path: &Path) -> String {
    format!("{} is no usable picture", path.display())
}
