use super::Window;

/// The median of a sliding window, from two heaps: the lower half with its largest sample on top, and
/// the upper half with its smallest.
///
/// The newest sample takes the oldest one's place and moves up or down from there, so a step takes
/// `O(log length)` and the heaps never change in size (the two-heap method, with positions kept).
#[derive(Clone, Debug)]
pub(super) struct Median {
    /// The window's samples, a ring.
    samples: Box<[f32]>,
    /// Where in `samples` the oldest one is.
    oldest: usize,
    /// How many samples are still missing to the first full window.
    missing: usize,
    /// Indices into `samples`: first the lower half, `length / 2` of them, then the upper one.
    heaps: Box<[u32]>,
    /// Where in `heaps` each sample is.
    places: Box<[u32]>,
}

impl Median {
    /// Lengths are those of frames, below 2³².
    pub(super) fn new(length: usize) -> Self {
        let indices: Box<[u32]> = (0..length as u32).collect();
        Self {
            samples: vec![0.0; length].into(),
            oldest: 0,
            missing: length,
            heaps: indices.clone(),
            places: indices,
        }
    }

    /// Puts both heaps in order, whatever they were.
    fn build(&mut self) {
        let samples = &self.samples;
        self.heaps.sort_unstable_by(|a, b| samples[*a as usize].total_cmp(&samples[*b as usize]));
        // Sorted rows are heaps: the lower one from its end.
        let lower = self.lower();
        self.heaps[..lower].reverse();
        for (place, index) in (0..).zip(&self.heaps) {
            self.places[*index as usize] = place;
        }
    }

    /// Moves the sample at `place` of `half` to where it belongs.
    fn sift(&mut self, half: &Half, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.is_out_of_order(half, parent, place) {
                break;
            }
            self.swap(half.start + parent, half.start + place);
            place = parent;
        }
        loop {
            let mut top = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < half.length && self.is_out_of_order(half, top, child) {
                    top = child;
                }
            }
            if top == place {
                return;
            }
            self.swap(half.start + top, half.start + place);
            place = top;
        }
    }

    /// Whether the sample at `below` belongs above the one at `above`.
    fn is_out_of_order(&self, half: &Half, above: usize, below: usize) -> bool {
        let (above, below) = (self.at(half.start + above), self.at(half.start + below));
        if half.largest_on_top { below > above } else { below < above }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heaps.swap(a, b);
        for place in [a, b] {
            self.places[self.heaps[place] as usize] = place as u32;
        }
    }

    fn at(&self, place: usize) -> f32 {
        self.samples[self.heaps[place] as usize]
    }

    fn lower(&self) -> usize {
        self.samples.len() / 2
    }
}

impl Window for Median {
    fn clear(&mut self) {
        self.oldest = 0;
        self.missing = self.samples.len();
    }

    fn push(&mut self, sample: f32) {
        let index = self.oldest;
        self.samples[index] = sample + 0.0; // −0 becomes 0: which of equal samples is on top cannot show
        self.oldest = if index + 1 == self.samples.len() { 0 } else { index + 1 };
        if self.missing > 0 {
            self.missing -= 1;
            if self.missing == 0 {
                self.build();
            }
            return;
        }
        let lower = Half { start: 0, length: self.lower(), largest_on_top: true };
        let upper = Half {
            start: lower.length,
            length: self.samples.len() - lower.length,
            largest_on_top: false,
        };
        let place = self.places[index] as usize;
        if place < upper.start {
            self.sift(&lower, place);
        } else {
            self.sift(&upper, place - upper.start);
        }
        // Only the new sample can be in the wrong half, and then it is on top of it.
        if lower.length > 0 && self.at(0) > self.at(upper.start) {
            self.swap(0, upper.start);
            self.sift(&lower, 0);
            self.sift(&upper, 0);
        }
    }

    fn value(&self) -> f32 {
        let lower = self.lower();
        let upper_top = self.at(lower);
        if self.samples.len() % 2 == 1 {
            upper_top
        } else {
            f64::midpoint(f64::from(self.at(0)), f64::from(upper_top)) as f32
        }
    }
}

/// One of the two heaps.
struct Half {
    start: usize,
    length: usize,
    largest_on_top: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_has_one_sign_only() {
        let mut median = Median::new(3);
        for samples in [[-0.0, 0.0, -0.0], [0.0, -0.0, 0.0], [-0.0, -0.0, -0.0]] {
            for sample in samples {
                median.push(sample);
                assert_eq!(median.value().to_bits(), 0);
            }
        }
    }
}
