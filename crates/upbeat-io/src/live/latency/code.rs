/// A maximum length sequence of 1023 chips of two samples, smoothed, full scale ±1.
///
/// Its correlation with itself has one peak, a few samples wide, and nothing like it anywhere else. The feedback is
/// that of x¹⁰ + x³ + 1.
pub(super) fn code() -> Vec<f32> {
    let mut register = 1_u32;
    let mut chips = Vec::with_capacity(2 * CHIPS);
    for _ in 0..CHIPS {
        let chip = if register & 1 == 1 { 1.0 } else { -1.0 };
        chips.extend([chip, chip]);
        let feedback = (register ^ (register >> 3)) & 1;
        register = (register >> 1) | (feedback << 9);
    }
    let at = |n: usize| n.checked_sub(1).and_then(|n| chips.get(n)).copied().unwrap_or(0.0);
    (0..chips.len() + 2)
        .map(|n| 0.25 * at(n.wrapping_sub(1)) + 0.5 * at(n) + 0.25 * at(n + 1))
        .collect()
}

/// Where a code was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Peak {
    /// Samples from the beginning of what was searched to the code's beginning.
    pub(super) at: f64,
    /// How far the peak stands out: its height over the root mean square of all that is not near it.
    pub(super) clearness: f64,
    /// How much of what is heard there is the code: from 0 to 1, which is all. A part of a code that is heard at the edge of
    /// what was searched may be clear, but is not like the code.
    pub(super) likeness: f64,
}

/// Looks for `code` in `heard`, of either polarity; `None` if `heard` is shorter or silent.
///
/// The peak of the correlation `c[l] = Σ code[i] · heard[l + i]` is refined by the parabola through it and its two
/// neighbours.
pub(super) fn find(code: &[f32], heard: &[f32]) -> Option<Peak> {
    let lags = (heard.len() + 1).checked_sub(code.len()).filter(|lags| *lags > 0)?;
    let correlation: Vec<f32> = (0..lags).map(|lag| dot(code, &heard[lag..])).collect();
    let best = (0..lags).max_by(|a, b| correlation[*a].abs().total_cmp(&correlation[*b].abs()))?;
    let height = f64::from(correlation[best]);
    let far = correlation.iter().enumerate().filter(|(lag, _)| lag.abs_diff(best) > NEAR);
    let (mut power, mut count) = (0.0, 0_u32);
    for (_, c) in far {
        power += f64::from(*c).powi(2);
        count += 1;
    }
    let rms = (power / f64::from(count.max(1))).sqrt();
    // Rounding alone makes more than nothing of silence around a code.
    let floor = 1e-6 * height.abs();
    let clearness = if height == 0.0 { 0.0 } else { height.abs() / rms.max(floor) };
    let there = &heard[best..best + code.len()];
    let norm = f64::from(dot(code, code)).sqrt() * f64::from(dot(there, there)).sqrt();
    let value = |lag: usize| f64::from(correlation[lag]) * height.signum();
    let shift = match best.checked_sub(1).filter(|_| best + 1 < lags) {
        Some(before) => {
            let (a, b, c) = (value(before), value(best), value(best + 1));
            let bend = a - 2.0 * b + c;
            if bend < 0.0 { 0.5 * (a - c) / bend } else { 0.0 }
        }
        None => 0.0,
    };
    let likeness = height.abs() / norm;
    (norm > 0.0).then_some(Peak { at: best as f64 + shift, clearness, likeness })
}

/// In eight sums, which the compiler can keep in one register.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(&b[a.len() / 8 * 8..]).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f32>() + rest
}

const CHIPS: usize = 1023;
/// Lags that belong to the peak.
const NEAR: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64) -> impl FnMut() -> f32 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / 8_388_608.0 - 1.0
        }
    }

    #[test]
    fn the_sequence_is_of_full_length() {
        let code = code();
        assert_eq!(code.len(), 2048);
        let peak = dot(&code, &code);
        for shift in NEAR..1000 {
            assert!(dot(&code[shift..], &code).abs() < 0.15 * peak, "{shift}");
        }
    }

    #[test]
    fn a_code_between_samples_is_found_where_it_is() {
        let code = code();
        for (place, sign, loud) in
            [(1234.25, 1.0, 0.0), (77.5, -1.0, 0.0), (3000.8, 1.0, 0.5), (5.4, 1.0, 0.0)]
        {
            let mut noise = noise(7);
            let heard: Vec<f32> = (0..8000)
                .map(|n| {
                    // The code is band-limited enough to be shifted by straight lines.
                    let from = f64::from(n) - place;
                    let index = from.floor();
                    let at = |n: f64| {
                        if n >= 0.0 { code.get(n as usize).copied().unwrap_or(0.0) } else { 0.0 }
                    };
                    let part = (from - index) as f32;
                    sign * 0.3 * ((1.0 - part) * at(index) + part * at(index + 1.0))
                        + loud * noise()
                })
                .collect();
            let peak = find(&code, &heard).unwrap();
            assert!((peak.at - place).abs() < 0.15, "{} instead of {place}", peak.at);
            assert!(peak.clearness > 10.0 && peak.likeness > 0.4, "{peak:?}");
        }
    }

    #[test]
    fn nothing_is_found_in_noise_silence_or_too_little() {
        let code = code();
        for seed in 0..5 {
            let mut noise = noise(seed);
            let heard: Vec<f32> = (0..20_000).map(|_| noise()).collect();
            let peak = find(&code, &heard).unwrap();
            assert!(peak.clearness < 7.0 && peak.likeness < 0.2, "{peak:?}");
        }
        // A part of a code, with silence around.
        for cut in [100, 500, 1000, 1900] {
            let mut heard = vec![0.0; 4000];
            heard[4000 - cut..].copy_from_slice(&code[..cut]);
            let peak = find(&code, &heard).unwrap();
            assert!(peak.likeness < 0.25, "{cut}: {peak:?}");
        }
        assert_eq!(find(&code, &vec![0.0; 5000]), None);
        assert_eq!(find(&code, &[0.5; 2047]), None);
    }
}
