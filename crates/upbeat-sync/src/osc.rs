use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType};

use crate::{Cue, SyncError};

/// A time as OSC and NTP write it: seconds since 1900, in 2⁻³² s; the seconds begin anew in 2036.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The tag of OSC that says "now", whenever that is.
    pub const IMMEDIATELY: Self = Self(1);
}

impl From<SystemTime> for NtpTime {
    /// To the nearest 2⁻³² s; a time before 1970 counts as that.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = (since.as_secs() + FROM_1900_TO_1970) << 32;
        let fraction = ((u64::from(since.subsec_nanos()) << 32) + 500_000_000) / 1_000_000_000;
        Self(seconds + fraction)
    }
}

/// 70 years, 17 of them with a 29th of February.
const FROM_1900_TO_1970: u64 = (70 * 365 + 17) * 86_400;

/// Makes OSC packets of [`Cue`]s: one bundle each, with its time in the tag.
///
/// A beat gives `/beat`, together with `/downbeat` if it is one; the others give `/tempo` and `/transition`.
/// `docs/sync.md` specifies the arguments. Beats and bars are counted from 1, the first one encoded.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use upbeat_sync::{Cue, OscEncoder};
///
/// let mut encoder = OscEncoder::new();
/// let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
/// let packet = encoder.encode(&Cue::Tempo { bpm: Some(120.0) }, at.into(), 0.0);
/// assert_eq!(&packet[..8], b"#bundle\0");
/// ```
#[derive(Clone, Debug, Default)]
pub struct OscEncoder {
    beats: i32,
    bars: i32,
    packet: Vec<u8>,
}

impl OscEncoder {
    /// An encoder that has counted no beats.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The packet for a cue whose time is `tag`, and that is `age` seconds old when it is sent (negative if it is to
    /// come).
    pub fn encode(&mut self, cue: &Cue, tag: NtpTime, age: f64) -> &[u8] {
        let message = |addr: &str, args: Vec<OscType>| {
            OscPacket::Message(OscMessage { addr: addr.into(), args })
        };
        let mut content = Vec::with_capacity(2);
        match cue {
            Cue::Beat(beat) => {
                self.beats = self.beats.wrapping_add(1);
                let place = beat.bar.map_or([0; 2], |bar| [bar.beat, bar.beats].map(i32::from));
                content.push(message(
                    "/beat",
                    vec![
                        self.beats.into(),
                        place[0].into(),
                        place[1].into(),
                        (beat.bpm.unwrap_or(0.0) as f32).into(),
                        beat.confidence.into(),
                        (beat.std_dev as f32).into(),
                    ],
                ));
                if let Some(bar) = beat.bar.filter(|bar| bar.beat == 1) {
                    self.bars = self.bars.wrapping_add(1);
                    let args = vec![self.bars.into(), place[1].into(), bar.confidence.into()];
                    content.push(message("/downbeat", args));
                }
            }
            Cue::Tempo { bpm } => {
                content.push(message("/tempo", vec![(bpm.unwrap_or(0.0) as f32).into()]));
            }
            Cue::Transition(transition) => {
                let args = vec![
                    transition.kind.into(),
                    transition.change.into(),
                    transition.confidence.into(),
                    (age as f32).into(),
                ];
                content.push(message("/transition", args));
            }
        }
        let timetag = OscTime::from(((tag.0 >> 32) as u32, tag.0 as u32));
        self.packet.clear();
        // Writing into a vector does not fail.
        let _ = rosc::encoder::encode_into(
            &OscPacket::Bundle(OscBundle { timetag, content }),
            &mut self.packet,
        );
        &self.packet
    }
}

/// Sends [`Cue`]s by OSC over UDP: to one receiver, or to all of a network by its broadcast address.
#[derive(Debug)]
pub struct OscOut {
    socket: UdpSocket,
    target: SocketAddr,
    encoder: OscEncoder,
}

impl OscOut {
    /// To the first address that `target` stands for, `HOST:PORT` for instance.
    ///
    /// # Errors
    ///
    /// If it stands for none, or the system refuses a socket.
    pub fn new(target: &str) -> Result<Self, SyncError> {
        let wrong = |reason: String| SyncError::Address { target: target.into(), reason };
        let mut targets = target.to_socket_addrs().map_err(|error| wrong(error.to_string()))?;
        let target = targets.next().ok_or_else(|| wrong("it stands for no address".into()))?;
        let any: SocketAddr = match target {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_broadcast(true)?;
        // A listener's thread must not wait for the network.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, target, encoder: OscEncoder::new() })
    }

    /// Sends a cue that happens in `seconds` from now. If that is not in the future, its tag says "immediately".
    ///
    /// # Errors
    ///
    /// If the system does not take the packet. That nobody listens is no error.
    pub fn send(&mut self, cue: &Cue, seconds: f64) -> io::Result<()> {
        let tag = if seconds > 0.0 {
            // A day is more than anything is ahead.
            NtpTime::from(SystemTime::now() + Duration::from_secs_f64(seconds.min(86_400.0)))
        } else {
            NtpTime::IMMEDIATELY
        };
        let packet = self.encoder.encode(cue, tag, -seconds);
        self.socket.send_to(packet, self.target).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bar, Beat, Transition};

    fn decode(packet: &[u8]) -> (OscTime, Vec<OscMessage>) {
        let (rest, packet) = rosc::decoder::decode_udp(packet).expect("a packet");
        assert!(rest.is_empty());
        let OscPacket::Bundle(bundle) = packet else { panic!("no bundle: {packet:?}") };
        let messages = bundle.content.into_iter().map(|packet| match packet {
            OscPacket::Message(message) => message,
            OscPacket::Bundle(_) => panic!("a bundle in a bundle"),
        });
        (bundle.timetag, messages.collect())
    }

    fn beat(bar: Option<Bar>) -> Cue {
        Cue::Beat(Beat { bpm: Some(128.0), confidence: 0.75, std_dev: 0.0125, bar })
    }

    fn bar(beat: u8) -> Bar {
        Bar { beat, beats: 3, confidence: 0.5 }
    }

    #[test]
    fn times_are_those_of_ntp() {
        assert_eq!(NtpTime::from(UNIX_EPOCH).0, 2_208_988_800 << 32);
        let later = UNIX_EPOCH + Duration::new(1_700_000_000, 750_000_000);
        assert_eq!(NtpTime::from(later).0, 3_908_988_800 << 32 | 3 << 30);
        assert_eq!(NtpTime::from(UNIX_EPOCH - Duration::from_secs(5)), UNIX_EPOCH.into());
        // The next era.
        let era = UNIX_EPOCH + Duration::from_secs((1 << 32) - 2_208_988_800);
        let mut encoder = OscEncoder::new();
        let (tag, _) = decode(encoder.encode(&beat(None), era.into(), 0.0));
        assert_eq!((tag.seconds, tag.fractional), (0, 0));
    }

    #[test]
    fn messages_are_as_specified() {
        let mut encoder = OscEncoder::new();
        let tag = NtpTime(7 << 32 | 9);
        let mut messages = |cue: &Cue| {
            let (time, messages) = decode(encoder.encode(cue, tag, 3.5));
            assert_eq!((time.seconds, time.fractional), (7, 9));
            messages
        };
        let message =
            |addr: &str, args: &[OscType]| OscMessage { addr: addr.into(), args: args.to_vec() };
        let beat_args = |count: i32, place: i32, beats: i32| -> [OscType; 6] {
            [
                count.into(),
                place.into(),
                beats.into(),
                128_f32.into(),
                0.75_f32.into(),
                0.0125_f32.into(),
            ]
        };
        assert_eq!(messages(&beat(None)), [message("/beat", &beat_args(1, 0, 0))]);
        let downbeat = |count: i32| message("/downbeat", &[count.into(), 3.into(), 0.5_f32.into()]);
        assert_eq!(
            messages(&beat(Some(bar(1)))),
            [message("/beat", &beat_args(2, 1, 3)), downbeat(1)]
        );
        assert_eq!(messages(&beat(Some(bar(2)))), [message("/beat", &beat_args(3, 2, 3))]);
        assert_eq!(
            messages(&beat(Some(bar(1)))),
            [message("/beat", &beat_args(4, 1, 3)), downbeat(2)]
        );
        for (bpm, told) in [(Some(90.5), 90.5_f32), (None, 0.0)] {
            assert_eq!(messages(&Cue::Tempo { bpm }), [message("/tempo", &[told.into()])]);
        }
        let cue = Cue::Transition(Transition { kind: "drop", change: 6.5, confidence: 0.9 });
        let args = ["drop".into(), 6.5_f32.into(), 0.9_f32.into(), 3.5_f32.into()];
        assert_eq!(messages(&cue), [message("/transition", &args)]);
    }

    #[test]
    fn the_bytes_are_those_of_the_standard() {
        let packet =
            OscEncoder::new().encode(&Cue::Tempo { bpm: Some(120.0) }, NtpTime(1), 0.0).to_vec();
        let expected = b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x10/tempo\0\0,f\0\0\x42\xf0\0\0";
        assert_eq!(packet, expected);
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for target in ["localhost", "127.0.0.1:99999", ""] {
            let error = OscOut::new(target).expect_err(target);
            assert!(matches!(error, SyncError::Address { .. }), "{error}");
        }
    }
}
