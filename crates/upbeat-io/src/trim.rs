/// Cuts the encoder's delay off the start of a stream, and its padding off the end.
///
/// The end a header announces is believed only where the stream then ends too: samples beyond it wait in `held`, to be
/// dropped if nothing more comes, and to be delivered if there are more of them than an encoder would append. So a
/// header that claims too little loses no sound.
#[derive(Debug)]
pub(crate) struct Trim {
    channels: usize,
    /// Samples per channel still to be dropped.
    delay: u64,
    /// Samples per channel still to come before the announced end, if there is one.
    left: Option<u64>,
    /// Samples beyond the announced end, interleaved.
    held: Vec<f32>,
}

impl Trim {
    /// Drops `delay` samples per channel, and what little may follow `length` further ones.
    pub(crate) fn new(channels: usize, delay: u64, length: Option<u64>) -> Self {
        Self { channels, delay, left: length, held: Vec::new() }
    }

    /// Notes that `samples` per channel are missing, and returns how many of them would have been delivered.
    pub(crate) fn lose(&mut self, samples: u64) -> u64 {
        let lost = samples - self.cut_delay(samples);
        match &mut self.left {
            Some(left) => {
                let lost = lost.min(*left);
                *left -= lost;
                lost
            }
            None => lost,
        }
    }

    /// Removes from `samples`, interleaved, what is not to be heard.
    pub(crate) fn cut(&mut self, samples: &mut Vec<f32>) {
        let delay = self.cut_delay((samples.len() / self.channels) as u64) as usize;
        samples.drain(..delay * self.channels);
        let Some(left) = self.left else { return };
        let count = (samples.len() / self.channels) as u64;
        let within = count.min(left);
        self.left = Some(left - within);
        self.held.extend(samples.drain(within as usize * self.channels..));
        if self.held.len() > MAX_PADDING * self.channels {
            samples.append(&mut self.held);
            self.left = None;
        }
    }

    /// How many of the next `samples` are delay; they are so no more.
    fn cut_delay(&mut self, samples: u64) -> u64 {
        let cut = samples.min(self.delay);
        self.delay -= cut;
        cut
    }
}

/// The most samples per channel an encoder appends: LAME's field holds 4095, and others fill up their last
/// packet of at most 4096.
const MAX_PADDING: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    /// What remains of a stereo stream of `total` samples, counted, in packets of `packet`.
    fn heard(delay: u64, length: Option<u64>, total: usize, packet: usize) -> Vec<f32> {
        let mut trim = Trim::new(2, delay, length);
        let stream: Vec<f32> = (0..total).flat_map(|n| [n as f32, -(n as f32)]).collect();
        let mut out = Vec::new();
        for samples in stream.chunks(2 * packet) {
            let mut samples = samples.to_vec();
            trim.cut(&mut samples);
            out.extend(samples);
        }
        out
    }

    fn count(from: usize, to: usize) -> Vec<f32> {
        (from..to).flat_map(|n| [n as f32, -(n as f32)]).collect()
    }

    #[test]
    fn delay_and_padding_go_whatever_the_packets() {
        for packet in [1, 7, 100, 1152, 10_000] {
            assert_eq!(heard(1105, Some(5000), 7000, packet), count(1105, 6105));
            assert_eq!(heard(0, None, 3000, packet), count(0, 3000));
            assert_eq!(heard(3000, Some(0), 3000, packet), []);
            assert_eq!(heard(9000, None, 3000, packet), []);
        }
    }

    #[test]
    fn an_end_announced_too_early_loses_nothing() {
        for packet in [1, 1152, 10_000] {
            assert_eq!(heard(10, Some(500), 20_000, packet), count(10, 20_000));
        }
    }

    #[test]
    fn lost_samples_count_as_delay_first_and_never_beyond_the_end() {
        let mut trim = Trim::new(1, 100, Some(1000));
        assert_eq!(trim.lose(60), 0);
        assert_eq!(trim.lose(60), 20);
        assert_eq!(trim.lose(5000), 980);
        let mut rest = vec![1.0; 10];
        trim.cut(&mut rest);
        assert_eq!(rest, []);
    }
}
