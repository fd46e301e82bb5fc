//! The adaptive equalizer with a network on a thread of its own.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use upbeat_core::{SampleIndex, SampleRate};
use upbeat_eq::{AdaptiveConfig, AdaptiveEqualizer, AdaptiveHandle, EqError, ToneModel};
use upbeat_nn::{Model, ModelError, Network, Weights, Worker};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const HZ: u32 = 22_050;

fn config() -> AdaptiveConfig {
    let mut config = AdaptiveConfig::new(SampleRate::new(HZ).expect("above 0"), 1);
    config.words = Some("dark".into());
    config
}

/// Tones that come and go, which is no noise.
fn music() -> Vec<f32> {
    let tone = signal::tone(180.0, 50, 0.5, HZ, 4 * HZ as usize);
    tone.iter().enumerate().map(|(n, x)| x * (n % 9000) as f32 / 9000.0).collect()
}

/// Plays the music, then silence until `done`; what was heard of the music stays as it is meanwhile.
fn play(
    (equalizer, handle): &mut (AdaptiveEqualizer, AdaptiveHandle),
    done: impl Fn(&mut AdaptiveHandle) -> bool,
) {
    let mut samples = music();
    let mut at = SampleIndex(0);
    for block in samples.chunks_mut(512) {
        let counts = count(|| equalizer.process_in_place(at, block));
        assert!(counts.is_zero(), "{counts:?}");
        at += block.len() as u64;
    }
    let start = Instant::now();
    while !done(handle) {
        assert!(start.elapsed() < Duration::from_secs(20), "it never comes");
        equalizer.process_in_place(at, &mut [0.0; 2048]);
        at += 2048;
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_same_network_beside_the_audio_thread_hears_the_same_and_does_the_same() {
    let mut own = AdaptiveEqualizer::new(&config()).unwrap();
    let silent = Cell::new(0);
    play(&mut own, |_| {
        silent.set(silent.get() + 1);
        silent.get() > 20 // until the last of the music, which waits to be told from noise, has entered
    });
    let expected = own.1.status().unwrap().heard.expect("a tone was heard");

    let file = include_bytes!("../models/tone.safetensors");
    let network = Network::read(&Weights::read(file).unwrap(), "hear").unwrap();
    let (worker, port) = Worker::spawn(Box::new(network), 4).unwrap();
    let mut other = AdaptiveEqualizer::with_worker(&config(), port).unwrap();
    play(&mut other, |handle| {
        let status = handle.status();
        status.is_some_and(|status| status.heard == Some(expected) && status.applied.tilt() < -0.1)
    });
    assert_eq!((worker.failures(), worker.last_error()), (0, None));

    // After a gap nothing is known any more, answers under way included.
    let (mut equalizer, mut handle) = other;
    equalizer.process_in_place(SampleIndex(1 << 40), &mut vec![0.0; 8192]);
    assert_eq!(handle.status().unwrap().heard, None);
}

/// One that fails on every frame.
struct Broken;

impl Model for Broken {
    fn input_length(&self) -> usize {
        ToneModel::BANDS
    }

    fn output_length(&self) -> usize {
        ToneModel::HEARD
    }

    fn run(&mut self, _: &[f32], _: &mut [f32]) -> Result<(), ModelError> {
        Err(ModelError::Backend { reason: "broken".into() })
    }

    fn reset(&mut self) {}
}

#[test]
fn with_a_network_that_fails_the_sound_goes_on_as_it_is() {
    let (worker, port) = Worker::spawn(Box::new(Broken), 4).unwrap();
    let (mut equalizer, mut handle) = AdaptiveEqualizer::with_worker(&config(), port).unwrap();
    let start = Instant::now();
    let mut at = SampleIndex(0);
    while worker.failures() < 3 {
        assert!(start.elapsed() < Duration::from_secs(20), "it is never asked");
        let mut out = music();
        equalizer.process_in_place(at, &mut out);
        assert_eq!(out, music());
        at += out.len() as u64;
    }
    assert!(handle.status().unwrap().heard.is_none());
    assert!(worker.last_error().unwrap().to_string().ends_with("broken"));
}

/// One that waits before each frame for as long as someone may give permits, and then says one thing, or, once told to,
/// the opposite.
struct Slow {
    permits: Receiver<()>,
    opposite: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Model for Slow {
    fn input_length(&self) -> usize {
        ToneModel::BANDS
    }

    fn output_length(&self) -> usize {
        ToneModel::HEARD
    }

    fn run(&mut self, _: &[f32], output: &mut [f32]) -> Result<(), ModelError> {
        let _ = self.permits.recv();
        // As of a sound that is like music on average in all that an equalizer cannot do: the first four count as they are.
        output.fill(0.0);
        output[..4].fill(if self.opposite.load(Ordering::Relaxed) { -0.5 } else { 0.5 });
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn reset(&mut self) {}
}

#[test]
fn what_was_asked_before_a_gap_is_not_heard_after_it() {
    let (permit, permits) = channel();
    let (opposite, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let model = Slow { permits, opposite: Arc::clone(&opposite), done: Arc::clone(&done) };
    let (_worker, port) = Worker::spawn(Box::new(model), 4096).unwrap();
    let (mut equalizer, mut handle) = AdaptiveEqualizer::with_worker(&config(), port).unwrap();
    equalizer.process_in_place(SampleIndex(0), &mut music());
    let mut at = SampleIndex(1 << 40);
    equalizer.process_in_place(at, &mut [0.0; 1]);
    at += 1;
    // What was asked before is answered only now; half of the updates of four seconds have asked, at least.
    drop(permit);
    let asked = music().len() as u64 / equalizer.update_length() / 2;
    let start = Instant::now();
    let wait = || {
        assert!(start.elapsed() < Duration::from_secs(20), "it never comes");
        std::thread::sleep(Duration::from_millis(5));
    };
    while done.load(Ordering::Relaxed) < asked {
        wait();
    }
    opposite.store(true, Ordering::Relaxed);
    let mut samples = music();
    let heard = 'heard: loop {
        for block in samples.chunks_mut(512) {
            equalizer.process_in_place(at, block);
            at += block.len() as u64;
            if let Some(heard) = handle.status().and_then(|status| status.heard) {
                break 'heard heard;
            }
        }
        wait();
        samples = music();
    };
    let file = include_bytes!("../models/tone.safetensors");
    let mut tell = Network::read(&Weights::read(file).unwrap(), "tell").unwrap();
    let mut latent = [0.0; ToneModel::LATENT];
    tell.run(&[-0.5; 4], &mut latent).unwrap();
    let wanted = ToneModel::builtin().decode(&latent).tilt();
    assert!(heard.tilt() * wanted > 0.0, "{} {wanted}", heard.tilt());
}

#[test]
fn a_network_of_other_sizes_is_refused() {
    let file = include_bytes!("../models/tone.safetensors");
    let network = Network::read(&Weights::read(file).unwrap(), "encode").unwrap();
    let (_worker, port) = Worker::spawn(Box::new(network), 4).unwrap();
    let error = AdaptiveEqualizer::with_worker(&config(), port).unwrap_err();
    assert!(matches!(error, EqError::ForeignModel { .. }));
    assert!(error.to_string().contains("32 numbers of 128, not 68 of 64"), "{error}");
}
