//! A pipeline in real time tells others of beats before they happen.

use std::net::UdpSocket;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rosc::{OscPacket, OscType};
use upbeat::core::SampleRate;
use upbeat::io::{MemorySource, StreamFormat};
use upbeat::sync::SyncOut;
use upbeat::{Input, Pipeline, PipelineConfig};
use upbeat_testkit::signal;

const RATE: u32 = 22_050;

/// 120 clicks per minute, the first at 0.25 s.
fn clicks(seconds: usize) -> Vec<f32> {
    let mut samples = vec![0.0; seconds * RATE as usize];
    for beat in samples.chunks_exact_mut(RATE as usize / 2) {
        let click = signal::sine(1500.0, 0.5, RATE, RATE as usize / 50);
        beat[RATE as usize / 4..][..click.len()].copy_from_slice(&click);
    }
    samples
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

#[test]
fn beats_arrive_before_they_sound() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let rate = SampleRate::new(RATE).unwrap();
    let mut out = SyncOut::new(rate);
    out.add_osc(&socket.local_addr().unwrap().to_string()).unwrap();
    out.set_nudge(-0.03).unwrap();
    let receiver = std::thread::spawn(move || {
        socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        let mut buffer = [0; 1500];
        let (mut beats, mut tempi) = (Vec::new(), Vec::new());
        while beats.len() < 6 {
            let length = socket.recv(&mut buffer).expect("beats are told of");
            let came = now();
            let (_, packet) = rosc::decoder::decode_udp(&buffer[..length]).expect("OSC");
            let OscPacket::Bundle(bundle) = packet else { panic!("{packet:?}") };
            let OscPacket::Message(message) = &bundle.content[0] else { panic!("{bundle:?}") };
            let (seconds, fraction) = bundle.timetag.into();
            let at = f64::from(seconds) - 2_208_988_800.0 + f64::from(fraction) / 2_f64.powi(32);
            match (&*message.addr, &*message.args) {
                ("/beat", [OscType::Int(n), .., OscType::Float(bpm), _, _]) => {
                    assert_eq!(*n as usize, beats.len() + 1);
                    assert!((bpm - 120.0).abs() < 10.0, "{bpm}");
                    beats.push((at, came));
                }
                ("/tempo", [OscType::Float(bpm)]) => tempi.push(*bpm),
                _ => {}
            }
        }
        (beats, tempi)
    });

    let source = MemorySource::new(clicks(12), StreamFormat::mono(rate)).unwrap();
    let input = Input::real_time(source);
    let mut config = PipelineConfig::new(&input);
    (config.events.chords, config.governor) = (false, None);
    let began = now();
    let pipeline = Pipeline::builder(config).listen("sync", out).start(input).unwrap();
    let (beats, tempi) = receiver.join().unwrap();
    pipeline.stop();

    assert!(tempi.iter().all(|bpm| (bpm - 120.0).abs() < 10.0) && !tempi.is_empty(), "{tempi:?}");
    let mut leads: Vec<f64> = beats.iter().map(|(at, came)| at - came).collect();
    leads.sort_by(f64::total_cmp);
    println!("leads {leads:.3?} s");
    // A quarter of a second, less the nudge and one hop.
    assert!((0.1..0.25).contains(&leads[3]), "{leads:?}");
    // The clicks are at quarters past, and half a second later; all is told 30 ms earlier. The song begins when the
    // thread that plays it does, and nothing is heard before it is played.
    for (at, _) in &beats {
        let off = (at - began + 0.03 - 0.25) / 0.5;
        let off = 0.5 * (off - off.round());
        assert!((-0.05..0.15).contains(&off), "{off} s off");
    }
}
