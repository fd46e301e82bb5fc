//! What a session hears of a running stream is what the library knows of the whole track.

mod common;

use common::track;
use upbeat::{EventAnalyzer, EventConfig, Listener};
use upbeat_core::SampleRate;
use upbeat_io::{MemorySource, demo};
use upbeat_library::{
    Library, LiveListener, LiveUpdate, MixConfig, MixSession, NewTrack, SessionEvent, analyse_track,
};

/// Updates of the demo, twice after one another, pushed in blocks.
fn updates(rate: SampleRate, offset: f64) -> Vec<LiveUpdate> {
    let song = demo::song(rate).expect("a song");
    let mut analyzer = EventAnalyzer::new(&EventConfig::new(rate.hz(), 2)).expect("settings");
    let (mut listener, updates) = LiveListener::new(rate, offset);
    for block in song.interleaved.repeat(2).chunks(2 * 1000) {
        analyzer.push(block, &mut listener).expect("whole samples");
    }
    listener.end();
    updates.into_iter().collect()
}

#[test]
fn live_features_come_near_those_of_the_whole_track() {
    let rate = SampleRate::new(22_050).unwrap();
    let heard = updates(rate, 50.0);
    assert_eq!(heard.len(), 31, "one for each second");
    for (second, update) in (1..).zip(&heard) {
        let position = update.position.unwrap();
        assert!((position - f64::from(second)).abs() < 0.05 && update.at == 50.0 + position);
        assert_eq!(update.tempo.is_none(), second <= 11, "at {position} s");
    }
    let song = demo::song(rate).unwrap();
    let mut source = MemorySource::new(song.interleaved.repeat(2), song.format).unwrap();
    let whole = analyse_track(&mut source).unwrap();
    let last = heard[30];
    assert!((last.tempo.unwrap() - 120.0).abs() < 0.5, "{last:?}");
    let (key, known) = (last.key.unwrap(), whole.key.unwrap().key);
    assert!(key == known || key == known.relative(), "{key} {known}");
    assert!((last.energy.unwrap() - whole.energy.unwrap()).abs() < 0.15, "{last:?} {whole:?}");
    assert!((last.brightness.unwrap() / whole.brightness.unwrap()).log2().abs() < 0.5);
    assert!((last.loudness.unwrap() - whole.loudness.unwrap()).abs() < 3.0);
}

#[test]
fn a_session_follows_what_is_heard_to_the_end_of_the_track() {
    let rate = SampleRate::new(22_050).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut library = Library::open(folder.path().join("library.db")).unwrap();
    let of_tempo = |number: u64, bpm: f32| {
        let mut new: NewTrack = track(number);
        new.analysis.duration = 32.0;
        new.analysis.tempo = Some(upbeat_library::Tempo {
            bpm,
            confidence: 1.0,
            first_beat: None,
            alternatives: vec![],
        });
        new
    };
    // The library has the first wrong; 120 BPM are heard.
    let ids =
        library.insert_all(&[of_tempo(1, 100.0), of_tempo(2, 101.0), of_tempo(3, 120.0)]).unwrap();
    let mut config = MixConfig::default();
    config.mix_ahead = 8.0;
    let mut session = MixSession::start(library, ids[0], 50.0, &config).unwrap();
    assert_eq!(session.proposals()[0].track, ids[1]);
    for update in updates(rate, 50.0) {
        session.observe(&update).unwrap();
    }
    assert_eq!(session.proposals()[0].track, ids[2]);
    let events: Vec<_> = std::iter::from_fn(|| session.next_event()).collect();
    let ready = events
        .iter()
        .filter(|e| matches!(e, SessionEvent::MixReady { next, .. } if *next == ids[2]));
    assert_eq!(ready.count(), 1, "{events:?}");
}
