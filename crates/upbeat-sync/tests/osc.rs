//! OSC bundles arrive at a socket before the time in their tags.

use std::net::UdpSocket;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rosc::{OscBundle, OscPacket, OscType};
use upbeat_core::{SampleIndex, SampleRate};
use upbeat_sync::{Bar, Beat, Cue, SyncOut, Transition};

const RATE: u32 = 48_000;

fn receiver() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on this machine");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let address = socket.local_addr().expect("it is bound").to_string();
    (socket, address)
}

/// The next bundle, and how many seconds before its tag it came; `None` for "immediately".
fn receive(socket: &UdpSocket) -> (OscBundle, Option<f64>) {
    let mut buffer = [0; 1500];
    let length = socket.recv(&mut buffer).expect("a packet within the timeout");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let (_, packet) = rosc::decoder::decode_udp(&buffer[..length]).expect("OSC");
    let OscPacket::Bundle(bundle) = packet else { panic!("no bundle: {packet:?}") };
    let (seconds, fraction) = bundle.timetag.into();
    let lead = ((seconds, fraction) != (0, 1)).then(|| {
        f64::from(seconds) - 2_208_988_800.0 + f64::from(fraction) / 4_294_967_296.0 - now
    });
    (bundle, lead)
}

fn beat(place: u8) -> Cue {
    let bar = Some(Bar { beat: place, beats: 4, confidence: 0.8 });
    Cue::Beat(Beat { bpm: Some(120.0), confidence: 0.9, std_dev: 0.01, bar })
}

/// Has the stream heard in real time up to now.
struct Player {
    out: SyncOut,
    start: Instant,
}

impl Player {
    fn new(address: &str, nudge: f64) -> Self {
        let mut out = SyncOut::new(SampleRate::new(RATE).expect("not 0"));
        out.add_osc(address).expect("an address");
        out.set_nudge(nudge).expect("in range");
        Self { out, start: Instant::now() }
    }

    /// Tells a cue that happens `seconds` after the newest sample.
    fn tell(&mut self, seconds: f64, cue: &Cue) {
        let heard = (self.start.elapsed().as_secs_f64() + 10.0) * f64::from(RATE);
        let at = SampleIndex((heard + seconds * f64::from(RATE)) as u64);
        self.out.tell(at, SampleIndex(heard as u64), cue);
    }
}

#[test]
fn bundles_come_before_their_time() {
    for (nudge, expected) in [(0.0, 0.25), (0.5, 0.75), (-0.1, 0.15)] {
        let (socket, address) = receiver();
        let mut player = Player::new(&address, nudge);
        let mut leads = Vec::new();
        for n in 0..8 {
            player.tell(0.25, &beat(n % 4 + 1));
            let (bundle, lead) = receive(&socket);
            leads.push(lead.expect("a time"));
            assert_eq!(bundle.content.len(), if n % 4 == 0 { 2 } else { 1 });
            let OscPacket::Message(message) = &bundle.content[0] else { panic!("{bundle:?}") };
            assert_eq!(
                (message.addr.as_str(), &message.args[0]),
                ("/beat", &OscType::Int(i32::from(n) + 1))
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        // Nothing is told later than asked for; most arrive at once, however busy the machine.
        leads.sort_by(f64::total_cmp);
        let best = leads[7];
        assert!((best - expected).abs() < 0.05, "{leads:?}, not {expected}");
        assert!(leads.iter().all(|lead| *lead < expected + 0.005), "{leads:?}");
        assert_eq!((player.out.stats().packets, player.out.stats().late), (8, 0));
    }
}

#[test]
fn what_has_happened_is_told_at_once() {
    let (socket, address) = receiver();
    let mut player = Player::new(&address, -0.4);
    player.tell(0.25, &beat(2));
    assert_eq!(receive(&socket).1, None, "the nudge is longer than the lead");
    assert_eq!(player.out.stats().late, 1);
    player.tell(-3.5, &Cue::Transition(Transition { kind: "drop", change: 7.0, confidence: 0.9 }));
    let (bundle, lead) = receive(&socket);
    assert_eq!(lead, None);
    let OscPacket::Message(message) = &bundle.content[0] else { panic!("{bundle:?}") };
    let [OscType::String(kind), _, _, OscType::Float(age)] = &*message.args else {
        panic!("{message:?}")
    };
    assert_eq!(kind, "drop");
    assert!((age - 3.9).abs() < 0.2, "{age}");
    player.tell(0.0, &Cue::Tempo { bpm: None });
    let (bundle, _) = receive(&socket);
    let OscPacket::Message(message) = &bundle.content[0] else { panic!("{bundle:?}") };
    assert_eq!((message.addr.as_str(), &*message.args), ("/tempo", &[OscType::Float(0.0)][..]));
}

#[test]
fn a_nudge_out_of_range_is_refused_and_nobody_listening_is_no_error() {
    let mut out = SyncOut::new(SampleRate::new(RATE).unwrap());
    assert_eq!(out.set_nudge(11.0).unwrap_err().parameter(), "nudge");
    assert_eq!(out.set_nudge(f64::NAN).unwrap_err().parameter(), "nudge");
    let (socket, address) = receiver();
    drop(socket);
    out.add_osc(&address).unwrap();
    for n in 0..3 {
        out.tell(SampleIndex(20_000 + n), SampleIndex(n), &beat(1));
    }
    assert_eq!((out.stats().packets, out.stats().failures), (3, 0));
}
