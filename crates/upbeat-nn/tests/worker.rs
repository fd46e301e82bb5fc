//! A model on a thread of its own: order, gaps, failures, and what the audio thread sees of them.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use upbeat_nn::{Gru, Layer, Model, ModelError, Network, Worker, WorkerPort};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Answers a frame with how many it has got since it was reset; fails on 13, panics on 14, and waits for a permit
/// before each.
struct Counter {
    permits: Receiver<()>,
    frames: f32,
}

impl Model for Counter {
    fn input_length(&self) -> usize {
        1
    }

    fn output_length(&self) -> usize {
        2
    }

    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), ModelError> {
        // Without anyone to give permits there is no waiting for them.
        let _ = self.permits.recv();
        self.frames += 1.0;
        assert_ne!(input[0], 14.0, "this one panics");
        if input[0] == 13.0 {
            return Err(ModelError::Backend { reason: "unlucky".into() });
        }
        output.copy_from_slice(&[input[0], self.frames]);
        Ok(())
    }

    fn reset(&mut self) {
        self.frames = 0.0;
    }
}

fn counter(queue: usize) -> (Worker, WorkerPort, Sender<()>) {
    let (permit, permits) = channel();
    let model = Counter { permits, frames: 0.0 };
    let (worker, port) = Worker::spawn(Box::new(model), queue).expect("a thread can be had");
    (worker, port, permit)
}

/// The next answer, waited for.
fn answer<const N: usize>(port: &mut WorkerPort) -> [f32; N] {
    let mut output = [f32::NAN; N];
    wait(|| port.receive(&mut output));
    output
}

fn wait(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never comes");
        std::thread::yield_now();
    }
}

#[test]
fn answers_are_those_of_the_model_in_order_and_the_audio_thread_never_allocates() {
    let noise = |seed, length| signal::noise(0.7, seed, length);
    let (from_input, from_state) = (noise(1, 12 * 3), noise(2, 12 * 4));
    let gru = Gru::new(3, 4, &from_input, &from_state, &noise(3, 12), &noise(4, 12)).unwrap();
    let mut network = Network::new(vec![(Layer::Gru(gru), upbeat_nn::Activation::None)]).unwrap();
    let (worker, mut port) = Worker::spawn(Box::new(network.clone()), 8).unwrap();
    assert_eq!((port.input_length(), port.output_length()), (3, 4));
    let frames = noise(5, 3 * 500);
    let mut answers = Vec::with_capacity(4 * 500);
    let mut counts = [count(|| {}); 2];
    let mut unsent = frames.chunks(3).peekable();
    let mut output = [0.0; 4];
    wait(|| {
        let mut here = false;
        counts[0] = count(|| {
            // Never more under way than fit, so that none is lost.
            let sent = 500 - unsent.len();
            if sent - answers.len() / 4 < 8
                && let Some(frame) = unsent.next()
            {
                assert!(port.send(frame));
            }
            here = port.receive(&mut output);
        });
        assert!(counts[0].is_zero(), "{:?}", counts[0]);
        if here {
            answers.extend(output);
        }
        answers.len() == 4 * 500
    });
    let mut expected = [0.0; 4];
    for (frame, found) in frames.chunks(3).zip(answers.chunks(4)) {
        network.run(frame, &mut expected).unwrap();
        assert_eq!(found, expected);
    }
    counts[1] = count(|| port.restart());
    assert!(counts[1].is_zero());
    assert_eq!((worker.failures(), worker.last_error(), port.dropped()), (0, None, 0));
}

#[test]
fn what_does_not_fit_is_lost_and_counted_and_the_model_starts_anew_behind_the_gap() {
    let (_worker, mut port, permit) = counter(4);
    permit.send(()).unwrap();
    assert!(port.send(&[1.0]));
    assert_eq!(answer(&mut port), [1.0, 1.0]);
    // No permits: one frame is with the model, four wait, and no more fit.
    assert!(port.send(&[2.0]));
    let mut sent = 2.0;
    wait(|| {
        let fits = port.send(&[sent + 1.0]);
        sent += f32::from(u8::from(fits));
        std::thread::sleep(Duration::from_millis(5)); // longer than the thread takes to look for frames
        !fits && sent >= 6.0
    });
    assert_eq!(sent, 6.0);
    let lost = port.dropped();
    assert!(lost > 0);
    for n in 2..=6_u8 {
        permit.send(()).unwrap();
        let [frame, _] = answer(&mut port);
        assert_eq!(frame, f32::from(n));
    }
    permit.send(()).unwrap();
    assert!(port.send(&[50.0]));
    assert_eq!(answer(&mut port), [50.0, 1.0]);
    assert_eq!(port.dropped(), lost);
}

#[test]
fn a_restart_forgets_what_was_sent_before() {
    let (_worker, mut port, permit) = counter(8);
    assert!(port.send(&[1.0]) && port.send(&[2.0]));
    port.restart();
    assert!(port.send(&[3.0]));
    for _ in 0..3 {
        permit.send(()).unwrap();
    }
    assert_eq!(answer(&mut port), [3.0, 1.0]);
}

#[test]
fn failures_and_panics_are_told_and_survived() {
    let (worker, mut port, permit) = counter(8);
    drop(permit);
    for frame in [1.0, 13.0, 2.0, 3.0, 14.0, 4.0] {
        assert!(port.send(&[frame]));
    }
    assert_eq!(answer(&mut port), [1.0, 1.0]);
    assert_eq!(answer(&mut port), [2.0, 1.0]);
    assert_eq!(answer(&mut port), [3.0, 2.0]);
    assert_eq!(answer(&mut port), [4.0, 1.0]);
    assert_eq!(worker.failures(), 2);
    let error = worker.last_error().unwrap().to_string();
    assert_eq!(error, "the inference library failed: the model panicked");
}

#[test]
fn without_its_worker_a_port_goes_unanswered() {
    let (worker, mut port, permit) = counter(2);
    drop(permit);
    drop(worker);
    for n in 0..10_u8 {
        assert_eq!(port.send(&[1.0]), n < 2);
        assert!(!port.receive(&mut [0.0; 2]));
    }
    let model = Box::new(Counter { permits: channel().1, frames: 0.0 });
    let error = Worker::spawn(model, 0).unwrap_err().to_string();
    assert_eq!(error, "queue must be 1 to 4096 frames, got 0");
}
