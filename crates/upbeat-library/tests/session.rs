//! A mix session: proposals that stay calm, learn, and survive.

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{track, wav};
use upbeat_library::adapt::AdaptError;
use upbeat_library::{
    Cause, Library, LibraryError, LiveUpdate, MixConfig, MixSession, NewTrack, Opinion, ScanConfig,
    SessionEvent, Tempo, TrackId, TrackKey,
};
use upbeat_predict::harmony::{Key, Mode, PitchClass};

/// Tracks of these tempi and energies, in the same key.
fn tracks(of: &[(f32, f32)]) -> Vec<NewTrack> {
    (0..)
        .zip(of)
        .map(|(number, (bpm, energy))| {
            let mut new = track(number);
            let a = &mut new.analysis;
            a.tempo =
                Some(Tempo { bpm: *bpm, confidence: 1.0, first_beat: None, alternatives: vec![] });
            a.key = Some(TrackKey {
                key: Key { tonic: PitchClass::new(9), mode: Mode::Minor },
                confidence: 1.0,
            });
            a.energy = Some(*energy);
            new
        })
        .collect()
}

fn session(folder: &Path, of: &[(f32, f32)]) -> (MixSession, Vec<TrackId>) {
    let mut library = Library::open(folder.join("library.db")).expect("a library");
    let ids = library.insert_all(&tracks(of)).expect("room");
    let session =
        MixSession::start(library, ids[0], 0.0, &MixConfig::default()).expect("a session");
    (session, ids)
}

fn events(session: &mut MixSession) -> Vec<SessionEvent> {
    std::iter::from_fn(|| session.next_event()).collect()
}

const SPREAD: &[(f32, f32)] = &[
    (120.0, 0.5),
    (121.0, 0.5),
    (124.0, 0.6),
    (140.0, 0.5),
    (98.0, 0.2),
    (174.0, 0.9),
    (150.0, 0.5),
];

#[test]
fn what_fits_is_proposed_with_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let (mut session, ids) = session(folder.path(), SPREAD);
    assert_eq!(events(&mut session), [SessionEvent::RecommendationsUpdated(Cause::Track)]);
    assert_eq!(session.proposals().len(), 5);
    let best = &session.proposals()[0];
    assert_eq!((best.track, best.name.as_str()), (ids[1], "Title 1"));
    let why = best.recommendation.explain();
    assert!(why.contains("tempo within 0.8 %") && why.contains("A minor"), "{why}");
    assert!(session.proposals().iter().all(|p| p.track != ids[0]), "not what plays");
}

#[test]
fn what_is_heard_changes_proposals_only_if_it_matters_and_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let (mut session, ids) = session(folder.path(), SPREAD);
    events(&mut session);
    let hear = |session: &mut MixSession, at: f64, tempo: f32| {
        session.observe(&LiveUpdate { at, tempo: Some(tempo), ..LiveUpdate::default() }).unwrap();
        session.proposals()[0].track
    };
    // Near enough, for long.
    for second in 1..20 {
        assert_eq!(hear(&mut session, f64::from(second), 121.5), ids[1]);
    }
    // Far off, but not for long enough at a time.
    for second in (20..40).step_by(2) {
        hear(&mut session, f64::from(second), 140.0);
        hear(&mut session, f64::from(second) + 1.0, 120.0);
    }
    assert_eq!(events(&mut session), []);
    // Far off, and it stays so.
    assert_eq!(hear(&mut session, 40.0, 140.0), ids[1]);
    assert_eq!(hear(&mut session, 41.9, 140.0), ids[1]);
    assert_eq!(hear(&mut session, 42.0, 140.0), ids[3]);
    assert_eq!(events(&mut session), [SessionEvent::RecommendationsUpdated(Cause::Sound)]);
    assert_eq!(session.context().tempo_bpm, Some(140.0));
    // Soon after, it must wait.
    hear(&mut session, 42.1, 98.0);
    assert_eq!(hear(&mut session, 46.9, 98.0), ids[3]);
    assert_ne!(hear(&mut session, 47.1, 98.0), ids[3]);
    // What is not known, or cannot be, changes nothing.
    let nothing = LiveUpdate {
        at: 60.0,
        tempo: Some(f32::NAN),
        energy: Some(f32::INFINITY),
        ..LiveUpdate::default()
    };
    session.observe(&nothing).unwrap();
    assert_eq!(session.context().tempo_bpm, Some(98.0));
}

#[test]
fn the_time_to_mix_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut session, ids) = session(folder.path(), SPREAD);
    events(&mut session);
    let at_position = |session: &mut MixSession, at: f64, position: f64| {
        session
            .observe(&LiveUpdate { at, position: Some(position), ..LiveUpdate::default() })
            .unwrap();
        events(session)
    };
    assert_eq!(at_position(&mut session, 1.0, 169.0), []);
    let ready = SessionEvent::MixReady { next: ids[1], seconds_left: 29.5 };
    assert_eq!(at_position(&mut session, 2.0, 170.5), [ready]);
    assert_eq!(at_position(&mut session, 3.0, 171.5), []);
    session.play(4.0, ids[1]).unwrap();
    events(&mut session);
    assert!(matches!(
        at_position(&mut session, 5.0, 250.0)[..],
        [SessionEvent::MixReady { seconds_left: 0.0, .. }]
    ));
}

#[test]
fn what_is_turned_down_is_gone_until_another_track_plays() {
    let folder = tempfile::tempdir().unwrap();
    let (mut session, ids) = session(folder.path(), SPREAD);
    let is_proposed = |session: &MixSession, id| session.proposals().iter().any(|p| p.track == id);
    session.feedback(1.0, ids[1], Opinion::Rejected).unwrap();
    assert!(!is_proposed(&session, ids[1]));
    session.play(2.0, ids[2]).unwrap();
    assert!(is_proposed(&session, ids[1]));
    assert_eq!(session.current().id, ids[2]);
    assert_eq!(session.library().transitions().unwrap(), [(ids[0], ids[2])]);
}

#[test]
fn a_listener_of_steady_taste_is_served_better_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    // Half of them calm, half forceful, all of nearly the same tempo; this listener likes them forceful.
    let of: Vec<(f32, f32)> = (0..160_u8)
        .map(|i| (120.0 + f32::from(i % 7) * 0.2, if i % 2 == 0 { 0.2 } else { 0.8 }))
        .collect();
    let (mut session, ids) = session(folder.path(), &of);
    let likes = |id: TrackId| ids.iter().position(|other| *other == id).unwrap() % 2 == 1;
    let share = |session: &MixSession| {
        let proposals = session.proposals();
        proposals.iter().filter(|p| likes(p.track)).count() as f32 / proposals.len() as f32
    };
    let before = share(&session);
    let mut taken = Vec::new();
    for round in 0..40 {
        let first = session.proposals()[0].track;
        let opinion = if likes(first) { Opinion::Accepted } else { Opinion::Rejected };
        taken.push(likes(first));
        session.feedback(f64::from(round) * 3600.0, first, opinion).unwrap();
        if likes(first) {
            session.play(f64::from(round) * 3600.0 + 5.0, first).unwrap();
        }
    }
    let late = taken[20..].iter().filter(|taken| **taken).count();
    assert!(late >= 17, "{late} of the last 20: {taken:?}");
    assert!(share(&session) > before.max(0.59), "{before} became {}", share(&session));

    let (responses, current, proposals) =
        (session.models().status().responses, session.current().id, session.proposals().to_vec());
    assert_eq!(responses, 40);
    drop(session); // As a crash would.
    let library = Library::open(folder.path().join("library.db")).unwrap();
    let open = library.open_session().unwrap().unwrap();
    let mut again = MixSession::resume(library, open, 0.0, &MixConfig::default()).unwrap();
    assert_eq!((again.current().id, again.models().status().responses), (current, 40));
    let first = again.proposals()[0].track;
    assert!(likes(first) && likes(proposals[0].track));
    again.feedback(1.0, first, Opinion::Score(0.9)).unwrap();
    let library = again.stop().unwrap();
    assert_eq!(library.open_session().unwrap(), None);
    assert_eq!(library.feedback_after(0).unwrap().len(), 41);
}

#[test]
fn a_library_of_one_or_of_unknown_tracks_is_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let mut library = Library::open(folder.path().join("library.db")).unwrap();
    let ids = library.insert_all(&[track(1)]).unwrap();
    let mut session = MixSession::start(library, ids[0], 0.0, &MixConfig::default()).unwrap();
    assert_eq!(session.proposals(), []);
    session
        .observe(&LiveUpdate { at: 1.0, position: Some(199.0), ..LiveUpdate::default() })
        .unwrap();
    assert_eq!(events(&mut session), [], "nothing to mix with");
    session.feedback(2.0, ids[0], Opinion::Listened(1.0)).unwrap();
    assert_eq!(
        session.library().feedback_after(0).unwrap()[0].after,
        None,
        "a track does not come after itself"
    );

    let mut library = session.stop().unwrap();
    library.insert_all(&[track(2), track(3)]).unwrap();
    let session = MixSession::start(library, ids[0], 0.0, &MixConfig::default()).unwrap();
    assert_eq!(session.proposals().len(), 2, "nothing is known of them, but there they are");
}

#[test]
fn what_a_scan_finds_is_told_and_proposed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut session, _) = session(folder.path(), &SPREAD[..1]);
    let music = folder.path().join("music");
    std::fs::create_dir(&music).unwrap();
    wav(&music.join("new.wav"), 1);
    std::fs::write(music.join("bad.mp3"), "no music").unwrap();
    events(&mut session);
    session.scan(&[&music], &ScanConfig::default(), |_| ControlFlow::Continue(())).unwrap();
    let told = events(&mut session);
    let has =
        |wanted: &dyn Fn(&SessionEvent) -> bool| told.iter().filter(|event| wanted(event)).count();
    assert_eq!(has(&|event| matches!(event, SessionEvent::TrackAnalyzed(_))), 1, "{told:?}");
    assert_eq!(
        has(&|event| matches!(event, SessionEvent::Error(text) if text.contains("bad.mp3"))),
        1
    );
    assert_eq!(has(&|event| *event == SessionEvent::RecommendationsUpdated(Cause::Library)), 1);
    assert_eq!(session.proposals()[0].name, "new");
}

type Change = fn(&mut MixConfig);

#[test]
fn wrong_times_scores_and_settings_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut session, ids) = session(folder.path(), SPREAD);
    session.feedback(10.0, ids[1], Opinion::Accepted).unwrap();
    let heard = |at| LiveUpdate { at, ..LiveUpdate::default() };
    for at in [9.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(session.observe(&heard(at)), Err(LibraryError::Config(_))), "{at}");
        assert!(session.feedback(at, ids[1], Opinion::Accepted).is_err());
        assert!(session.play(at, ids[1]).is_err());
    }
    for score in [-0.1, 1.1, f32::NAN] {
        assert!(session.feedback(11.0, ids[1], Opinion::Score(score)).is_err());
    }
    assert!(matches!(
        session.feedback(11.0, TrackId(999), Opinion::Accepted),
        Err(LibraryError::NoSuchTrack(_))
    ));
    assert!(session.play(11.0, TrackId(999)).is_err());
    assert_eq!((session.current().id, session.models().status().responses), (ids[0], 1));
    assert_eq!(session.library().feedback_after(0).unwrap().len(), 1);

    let mut library = session.stop().unwrap();
    let changes: [Change; 5] = [
        |c| c.proposals = 0,
        |c| c.tempo_change = f32::NAN,
        |c| c.hold = -1.0,
        |c| c.margin = f64::NAN,
        |c| c.mix_ahead = f64::INFINITY,
    ];
    for change in changes {
        let mut config = MixConfig::default();
        change(&mut config);
        let again = Library::open(library.path()).unwrap();
        assert!(matches!(
            MixSession::start(again, ids[0], 0.0, &config),
            Err(LibraryError::Config(_))
        ));
    }

    // What was learned cannot be read: told, and left as it is.
    library.store_state("models", "{}").unwrap();
    let again = Library::open(library.path()).unwrap();
    let refused = MixSession::start(again, ids[0], 0.0, &MixConfig::default());
    assert!(matches!(refused, Err(LibraryError::Models(AdaptError::Foreign { .. }))));
    assert_eq!(library.state("models").unwrap().as_deref(), Some("{}"));
    library.forget_models().unwrap();
    MixSession::start(library, ids[0], 0.0, &MixConfig::default()).unwrap();
}
