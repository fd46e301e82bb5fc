//! Holds features against values that librosa itself computed.
//!
//! With `--nocapture`, prints a table: each feature's worst error relative to its range, and where.

mod golden;

use golden::Case;
use upbeat_core::{Chain, FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_features::chroma::{ChromaStftConfig, chroma_filterbank};
use upbeat_features::delta::{Delta, DeltaConfig};
use upbeat_features::kaldi::{KaldiFrame, KaldiFrameConfig};
use upbeat_features::level::{Rms, ZeroCrossingRate, ZeroCrossingRateConfig};
use upbeat_features::mel::{
    LogMel, LogMelConfig, MelConfig, MelFilterbank, MelScale, MelSpectrogram, Profile,
};
use upbeat_features::mfcc::{Mfcc, MfccConfig};
use upbeat_features::pcen::{Pcen, PcenConfig};
use upbeat_features::spectral::{
    Shape, SpectralContrast, SpectralContrastConfig, SpectralShape, SpectralShapeConfig,
};
use upbeat_features::stft::{Stft, StftConfig};
use upbeat_window::{Framer, WindowFunction};

#[test]
fn rms() {
    golden::check("rms", BOUND, |case, samples| {
        run(framer(case).then(Rms), samples, |rms| vec![*rms])
    });
}

#[test]
fn zero_crossing_rate() {
    let stage = ZeroCrossingRate::new(&ZeroCrossingRateConfig::new()).unwrap();
    golden::check("zcr", BOUND, |case, samples| {
        run(framer(case).then(stage), samples, |rate| vec![*rate])
    });
}

#[test]
fn stft() {
    let signals = golden::signals();
    for stored in golden::stored("stft") {
        let Case { n_fft, .. } = stored.case;
        let samples = &signals[stored.signal].samples;
        let mut stft = Stft::new(&StftConfig::new(n_fft)).unwrap();
        let largest = stored.expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        stft.process(SampleIndex(0), &samples[..n_fft], |_, spectrum| {
            let (re, im) = stored.expected.split_at(stored.expected.len() / 2);
            let found = spectrum.bins().step_by(STFT_STEP);
            for (((found_re, found_im), re), im) in found.zip(re).zip(im) {
                assert!((f64::from(found_re) - re).abs() <= BOUND * largest);
                assert!((f64::from(found_im) - im).abs() <= BOUND * largest);
            }
        });
    }
}

/// librosa's `center=True` is the same stream with half a frame of zeros before and after it.
#[test]
fn centered_stft() {
    let (shape, expected) = golden::read(&mut golden::open("golden.npz"), "centered-stft");
    let (n_bins, n_frames) = (shape[1], shape[2]);
    let case = Case { rate: 22_050, n_fft: 2048, hop_length: 512 };
    let mut padded = vec![0.0; 1024];
    padded.extend_from_slice(&golden::signals()[0].samples);
    padded.resize(padded.len() + 1024, 0.0);
    let all = run(spectra(case), &padded, |spectrum| {
        let (re, im): (Vec<f32>, Vec<f32>) = spectrum.bins().unzip();
        [re, im].concat()
    });
    for (t, frame) in [0, 1, all.len() - 1].into_iter().enumerate() {
        for (row, found) in all[frame].iter().enumerate() {
            let expected = expected[row * n_frames + t];
            assert!((f64::from(*found) - expected).abs() < 1e-5, "row {row} of frame {frame}");
        }
        assert_eq!(all[frame].len(), 2 * n_bins);
    }
}

#[test]
fn spectral_shapes() {
    type Field = fn(&Shape) -> f32;
    let features: [(&str, Field); 4] = [
        ("centroid", |shape| shape.centroid),
        ("bandwidth", |shape| shape.bandwidth),
        ("rolloff", |shape| shape.rolloff),
        ("flatness", |shape| shape.flatness),
    ];
    for (feature, value) in features {
        golden::check(feature, BOUND, |case, samples| {
            let config = SpectralShapeConfig::new(rate(case), case.n_fft);
            let shape = SpectralShape::new(&config).unwrap();
            run(spectra(case).then(shape), samples, |shape| vec![value(shape)])
        });
    }
}

#[test]
fn spectral_contrast() {
    golden::check("contrast", BOUND, |case, samples| {
        let config = SpectralContrastConfig::new(rate(case), case.n_fft);
        let contrast = SpectralContrast::new(&config).unwrap();
        run(spectra(case).then(contrast), samples, <[f32]>::to_vec)
    });
}

#[test]
fn mel_spectrogram() {
    golden::check("mel", BOUND, |case, samples| run(mel(case), samples, <[f32]>::to_vec));
}

#[test]
fn log_mel() {
    golden::check("logmel", BOUND, |case, samples| run(logmel(case), samples, <[f32]>::to_vec));
}

#[test]
fn mfcc() {
    golden::check("mfcc", BOUND, |case, samples| run(cepstrum(case), samples, <[f32]>::to_vec));
}

#[test]
fn delta() {
    for (feature, order) in [("delta", 1), ("delta2", 2)] {
        golden::check(feature, BOUND, |case, samples| {
            let mut config = DeltaConfig::new(frames(case), 20);
            config.order = order;
            let mut rows = Vec::new();
            let mut stage = cepstrum(case).then(Delta::new(&config).unwrap());
            stage.process(SampleIndex(0), samples, |at, delta| {
                // Nothing is emitted for the first frames; no golden value is of those.
                rows.resize(at.0 as usize / case.hop_length, Vec::new());
                rows.push(delta.to_vec());
            });
            rows
        });
    }
}

#[test]
fn pcen() {
    golden::check("pcen", BOUND, |case, samples| {
        let mut pcen = Pcen::new(&PcenConfig::new(frames(case), 128)).unwrap();
        let mut rows = Vec::new();
        mel(case).process(SampleIndex(0), samples, |at, bands| {
            let scaled: Vec<f32> = bands.iter().map(|band| band * 2.0_f32.powi(31)).collect();
            pcen.process(at, &scaled, |_, row| rows.push(row.to_vec()));
        });
        rows
    });
}

/// The MATLAB functions that librosa is tested with.
#[test]
fn mel_scales_of_matlab() {
    let mut archive = golden::open("matlab.npz");
    let names = names(&archive);
    let mut count = 0;
    for name in names.iter().filter_map(|name| name.strip_suffix("-in")) {
        type Convert = fn(f64) -> f64;
        let convert: Convert = match name.rsplit_once('-') {
            Some(("hz_to_mel-slaney", _)) => |hz| MelScale::Slaney.mel(hz),
            Some(("hz_to_mel-htk", _)) => |hz| MelScale::Htk.mel(hz),
            Some(("mel_to_hz-slaney", _)) => |mel| MelScale::Slaney.hz(mel),
            Some(("mel_to_hz-htk", _)) => |mel| MelScale::Htk.hz(mel),
            _ => continue,
        };
        let (_, from) = golden::read(&mut archive, &format!("{name}-in"));
        let (_, to) = golden::read(&mut archive, &format!("{name}-out"));
        for (from, to) in from.into_iter().zip(to) {
            assert!((convert(from) - to).abs() <= 1e-9 * to.abs(), "{name}: {from}");
        }
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn mel_filterbanks_of_matlab() {
    let mut archive = golden::open("matlab.npz");
    let names = names(&archive);
    let (mut count, mut worst) = (0, 0.0_f64);
    for name in names.iter().filter_map(|name| name.strip_suffix("-args")) {
        if !name.starts_with("melfb") {
            continue;
        }
        let (_, arguments) = golden::read(&mut archive, &format!("{name}-args"));
        let [rate, n_fft, n_mels, width, fmin, fmax, htk] = arguments[..] else {
            panic!("{name} has other arguments");
        };
        assert_eq!(width, 1.0, "{name}: wider filters than librosa's");
        let mut config = MelConfig::new(SampleRate::new(rate as u32).unwrap(), n_fft as usize);
        (config.n_mels, config.fmin, config.fmax) = (n_mels as usize, fmin, fmax);
        config.scale = if htk == 1.0 { MelScale::Htk } else { MelScale::Slaney };
        let filterbank = MelFilterbank::new(&config).unwrap();
        let (shape, weights) = golden::read(&mut archive, &format!("{name}-wts"));
        assert_eq!(shape[0], filterbank.n_mels());
        for (band, expected) in weights.chunks(shape[1]).enumerate() {
            for (found, expected) in filterbank.weights(band).iter().zip(expected) {
                worst = worst.max((f64::from(*found) - expected).abs());
            }
        }
        count += 1;
    }
    println!("     melfb {worst:9.1e}  absolute, {count} filterbanks");
    assert!(count >= 8 && worst < 1e-5);
}

#[test]
fn chroma_filterbanks_of_matlab() {
    let mut archive = golden::open("matlab.npz");
    let names = names(&archive);
    let (mut count, mut worst) = (0, 0.0_f64);
    for name in names.iter().filter_map(|name| name.strip_suffix("-args")) {
        if !name.starts_with("chromafb") {
            continue;
        }
        let (_, arguments) = golden::read(&mut archive, &format!("{name}-args"));
        let [rate, n_fft, n_chroma, a440, ctroct, octwidth] = arguments[..] else {
            panic!("{name} has other arguments");
        };
        let n_chroma = n_chroma as usize;
        let rate = SampleRate::new(rate as u32).unwrap();
        let mut config = ChromaStftConfig::new(rate, n_fft as usize);
        config.tuning = (n_chroma as f64 * (a440 / 440.0).log2()) as f32;
        config.ctroct = ctroct as f32;
        config.octwidth = if octwidth == 0.0 { f32::INFINITY } else { octwidth as f32 };
        let found = chroma_filterbank(&config, n_chroma).unwrap();
        let (shape, expected) = golden::read(&mut archive, &format!("{name}-wts"));
        for (class, expected) in expected.chunks(shape[1]).enumerate() {
            // MATLAB's classes start at A, ours at C.
            let class = (class + n_chroma - n_chroma / 4) % n_chroma;
            for (bin, expected) in expected.iter().enumerate() {
                let found = f64::from(found[bin * n_chroma + class]);
                worst = worst.max((found - expected).abs());
            }
        }
        count += 1;
    }
    println!("  chromafb {worst:9.1e}  absolute, {count} filterbanks");
    assert!(count >= 8 && worst < 1e-5);
}

/// Kaldi's filterbank features, by its formulas (`fbank.py`).
#[test]
fn fbank_of_kaldi() {
    let mut archive = golden::open("fbank.npz");
    let samples: Vec<f32> =
        golden::read(&mut archive, "samples").1.into_iter().map(|x| x as f32).collect();
    let (shape, expected) = golden::read(&mut archive, "kaldi");
    let rate = SampleRate::new(16_000).unwrap();
    let frame = KaldiFrameConfig::new(400);
    let mut stft = StftConfig::new(frame.n_fft());
    stft.window = WindowFunction::Rectangular;
    let mel = MelConfig::with_profile(Profile::Kaldi, rate, frame.n_fft());
    let mut log = LogMelConfig::new(mel.n_mels);
    log.amin = f32::EPSILON;
    let fbank = Framer::new(FrameSpec::new(400, 160, rate).unwrap())
        .then(KaldiFrame::new(&frame).unwrap())
        .then(Stft::new(&stft).unwrap())
        .then(MelSpectrogram::new(&mel).unwrap())
        .then(LogMel::new(&log).unwrap());
    let rows = run(fbank, &samples, <[f32]>::to_vec);
    assert_eq!([rows.len(), rows[0].len()], shape[..]);
    let natural = std::f64::consts::LN_10 / 10.0;
    let errors = rows
        .iter()
        .flatten()
        .zip(&expected)
        .map(|(found, e)| (f64::from(*found) * natural - e).abs());
    let worst = errors.fold(0.0, f64::max);
    println!("     kaldi {worst:9.1e}  absolute, natural logarithm");
    assert!(worst < 1e-4);
}

/// HTK's filterbank, by its formula (`fbank.py`).
#[test]
fn filterbank_of_htk() {
    let mut archive = golden::open("fbank.npz");
    let (shape, expected) = golden::read(&mut archive, "htk");
    let config = MelConfig::with_profile(Profile::Htk, SampleRate::new(16_000).unwrap(), 512);
    let filterbank = MelFilterbank::new(&config).unwrap();
    assert_eq!(shape, [filterbank.n_mels(), 257]);
    for (band, expected) in expected.chunks(257).enumerate() {
        for (found, expected) in filterbank.weights(band).iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "band {band}");
        }
    }
}

/// All outputs of a stage for a whole signal.
fn run<S: Stage<In = [f32]>>(
    mut stage: S,
    samples: &[f32],
    rows: impl Fn(&S::Out) -> Vec<f32>,
) -> Vec<Vec<f32>> {
    let mut frames = Vec::new();
    stage.process(SampleIndex(0), samples, |_, value| frames.push(rows(value)));
    frames
}

fn cepstrum(case: Case) -> impl Stage<In = [f32], Out = [f32]> {
    logmel(case).then(Mfcc::new(&MfccConfig::new(128)).expect(LEGAL))
}

fn logmel(case: Case) -> impl Stage<In = [f32], Out = [f32]> {
    mel(case).then(LogMel::new(&LogMelConfig::new(128)).expect(LEGAL))
}

fn mel(case: Case) -> impl Stage<In = [f32], Out = [f32]> {
    let config = MelConfig::new(rate(case), case.n_fft);
    spectra(case).then(MelSpectrogram::new(&config).expect(LEGAL))
}

fn spectra(case: Case) -> Chain<Framer, Stft> {
    framer(case).then(Stft::new(&StftConfig::new(case.n_fft)).expect(LEGAL))
}

fn rate(case: Case) -> SampleRate {
    SampleRate::new(case.rate).expect(LEGAL)
}

fn framer(case: Case) -> Framer {
    Framer::new(frames(case))
}

fn frames(case: Case) -> FrameSpec {
    FrameSpec::new(case.n_fft, case.hop_length, rate(case)).expect(LEGAL)
}

/// What the worst error of any feature may be, of the feature's range.
const BOUND: f64 = 1e-4;
/// Which bins of the stored spectra there are: every seventh.
const STFT_STEP: usize = 7;
const LEGAL: &str = "the settings of golden.npz are legal";

/// The names of all arrays in an archive.
fn names(archive: &zip::ZipArchive<std::io::BufReader<std::fs::File>>) -> Vec<String> {
    let name = |file: &str| file.trim_end_matches(".npy").to_owned();
    archive.file_names().map(|file| name(&file.expect("names are UTF-8"))).collect()
}
