use crate::ModelError;

/// A matrix stored by columns: the weights of one input for all outputs lie side by side, so that the
/// products for a block of outputs are summed in registers.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    columns: Box<[f32]>,
    rows: usize,
}

impl Matrix {
    /// Of `rows` by `columns` numbers, row after row.
    pub(crate) fn of_rows(
        rows: usize,
        columns: usize,
        weights: &[f32],
    ) -> Result<Self, ModelError> {
        ModelError::require((1..=MAX_SIZE).contains(&rows), "outputs", "1 to 65536", rows)?;
        ModelError::require((1..=MAX_SIZE).contains(&columns), "inputs", "1 to 65536", columns)?;
        ModelError::require_length("number of weights", weights.len(), rows * columns)?;
        let by_column = (0..columns).flat_map(|c| (0..rows).map(move |r| weights[r * columns + c]));
        Ok(Self { columns: by_column.collect(), rows })
    }

    /// `output += matrix · input`.
    pub(crate) fn multiply_add(&self, input: &[f32], output: &mut [f32]) {
        let rows = self.rows;
        let (blocks, rest) = output.as_chunks_mut::<BLOCK>();
        for (b, block) in blocks.iter_mut().enumerate() {
            let mut sum = *block;
            for (x, column) in input.iter().zip(self.columns.chunks_exact(rows)) {
                let (weights, _) = column[b * BLOCK..].as_chunks::<BLOCK>();
                for (s, w) in sum.iter_mut().zip(&weights[0]) {
                    *s += x * w;
                }
            }
            *block = sum;
        }
        let done = rows - rest.len();
        for (x, column) in input.iter().zip(self.columns.chunks_exact(rows)) {
            for (y, w) in rest.iter_mut().zip(&column[done..]) {
                *y += x * w;
            }
        }
    }
}

/// Outputs summed at once: four registers of four.
const BLOCK: usize = 16;

/// The most inputs or outputs of a layer.
pub(crate) const MAX_SIZE: usize = 65_536;
