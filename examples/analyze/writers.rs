//! Frames as CSV, JSON lines and NumPy's npz.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::ops::Range;
use std::path::Path;

use npyz::WriterBuilder;
use tempfile::tempfile;
use upbeat::{FeatureFrame, FeatureLayout};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::row::Row;

/// Takes the frames of one song, in order.
pub(crate) trait FrameWriter {
    fn push(&mut self, frame: &FeatureFrame) -> io::Result<()>;
    /// Called once, after the last frame.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// One line per frame, with a header; unknown values are empty.
pub(crate) struct Csv<W>(W);

impl<W: Write> Csv<W> {
    pub(crate) fn new(mut out: W, layout: &FeatureLayout) -> io::Result<Self> {
        let names: Vec<_> = layout.column_names().collect();
        writeln!(out, "time,{}", names.join(","))?;
        Ok(Self(out))
    }
}

impl<W: Write> FrameWriter for Csv<W> {
    fn push(&mut self, frame: &FeatureFrame) -> io::Result<()> {
        write!(self.0, "{:.6}", frame.seconds())?;
        for value in frame.as_slice() {
            if value.is_nan() {
                write!(self.0, ",")?;
            } else {
                write!(self.0, ",{value}")?;
            }
        }
        writeln!(self.0)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.0.flush()
    }
}

/// One JSON object per frame: `time`, and each feature's value, or list of values; unknown ones are null.
pub(crate) struct JsonLines<W>(pub W);

impl<W: Write> FrameWriter for JsonLines<W> {
    fn push(&mut self, frame: &FeatureFrame) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, &Row(frame))?;
        writeln!(self.0)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.0.flush()
    }
}

/// Arrays of shape `(n, frames)` as librosa has them, one per feature, with `times`, `sr` and `hop_length`.
///
/// Frames are spooled to unnamed temporary files, one per array, so that memory does not grow with the
/// song. The arrays are in Fortran order, in which a frame's values lie side by side as they come.
pub(crate) struct Npz<W: Write + Seek> {
    out: ZipWriter<W>,
    sample_rate: u32,
    hop_length: usize,
    times: Spool,
    arrays: Vec<Array>,
    frames: u64,
}

struct Array {
    name: String,
    columns: Range<usize>,
    /// Frames that the values lag behind the frame they come with: dropped in front, made up for at the end.
    lag: u64,
    spool: Spool,
}

impl<W: Write + Seek> Npz<W> {
    pub(crate) fn new(out: W, layout: &FeatureLayout) -> io::Result<Self> {
        let spec = layout.spec();
        let names: Vec<_> = layout.column_names().collect();
        let mut arrays = Vec::new();
        for feature in layout.features() {
            let columns = layout.columns(feature);
            let latency = layout.latency(feature).unwrap_or(0);
            let late = latency.saturating_sub(spec.frame_length() as u64 - 1);
            let lag = late.div_ceil(spec.hop_length() as u64);
            // Columns with names of their own are quantities of their own.
            let numbered = |i: usize| names[columns.start + i] == format!("{}_{i}", feature.name());
            if (0..columns.len()).all(numbered) {
                let name = feature.name().to_string();
                arrays.push(Array { name, columns, lag, spool: Spool::new()? });
            } else {
                for column in columns {
                    let name = names[column].clone();
                    arrays.push(Array {
                        name,
                        columns: column..column + 1,
                        lag,
                        spool: Spool::new()?,
                    });
                }
            }
        }
        Ok(Self {
            out: ZipWriter::new(out),
            sample_rate: spec.sample_rate().hz(),
            hop_length: spec.hop_length(),
            times: Spool::new()?,
            arrays,
            frames: 0,
        })
    }
}

impl<W: Write + Seek> FrameWriter for Npz<W> {
    fn push(&mut self, frame: &FeatureFrame) -> io::Result<()> {
        self.times.push(&[frame.seconds() as f32])?;
        for array in &mut self.arrays {
            if self.frames >= array.lag {
                array.spool.push(&frame.as_slice()[array.columns.clone()])?;
            }
        }
        self.frames += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let frames = self.frames;
        for (name, value) in
            [("sr", i64::from(self.sample_rate)), ("hop_length", self.hop_length as i64)]
        {
            self.out.start_file(format!("{name}.npy"), ENTRY)?;
            let options = npyz::WriteOptions::new().default_dtype().shape(&[]);
            let mut array = options.writer(&mut self.out).begin_nd()?;
            array.push(&value)?;
            array.finish()?;
        }
        write_array(&mut self.out, "times", &[frames], self.times)?;
        for mut array in self.arrays {
            let n = array.columns.len();
            for _ in 0..array.lag.min(frames) {
                array.spool.push(&vec![f32::NAN; n])?;
            }
            write_array(&mut self.out, &array.name, &[n as u64, frames], array.spool)?;
        }
        self.out.finish()?.flush()
    }
}

/// Arrays lie in the archive as they are, and may be larger than 4 GB.
const ENTRY: SimpleFileOptions =
    SimpleFileOptions::DEFAULT.compression_method(zip::CompressionMethod::Stored).large_file(true);

fn write_array<W: Write + Seek>(
    out: &mut ZipWriter<W>,
    name: &str,
    shape: &[u64],
    spool: Spool,
) -> io::Result<()> {
    out.start_file(format!("{name}.npy"), ENTRY)?;
    let options =
        npyz::WriteOptions::new().default_dtype().order(npyz::Order::Fortran).shape(shape);
    let mut array = options.writer(out).begin_nd()?;
    let mut values = spool.read()?;
    let mut bytes = [0; 4];
    for _ in 0..shape.iter().product() {
        values.read_exact(&mut bytes)?;
        array.push(&f32::from_le_bytes(bytes))?;
    }
    array.finish()
}

/// Numbers on disk instead of in memory.
struct Spool(BufWriter<File>);

impl Spool {
    fn new() -> io::Result<Self> {
        Ok(Self(BufWriter::new(tempfile()?)))
    }

    fn push(&mut self, values: &[f32]) -> io::Result<()> {
        values.iter().try_for_each(|value| self.0.write_all(&value.to_le_bytes()))
    }

    fn read(self) -> io::Result<BufReader<File>> {
        let mut file = self.0.into_inner()?;
        file.rewind()?;
        Ok(BufReader::new(file))
    }
}

/// A file that appears under its name only once it is whole.
pub(crate) struct WholeFile {
    file: tempfile::NamedTempFile,
}

impl WholeFile {
    /// A file that will be `path`.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        // As any new file: the user's umask decides, not the privacy of temporary files.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        Ok(Self { file: builder.tempfile_in(folder)? })
    }

    pub(crate) fn writer(&self) -> io::Result<BufWriter<File>> {
        Ok(BufWriter::new(self.file.reopen()?))
    }

    /// Gives the file its name.
    pub(crate) fn keep(self, path: &Path) -> io::Result<()> {
        self.file.persist(path)?;
        Ok(())
    }
}
