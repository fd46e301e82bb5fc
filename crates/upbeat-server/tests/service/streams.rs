//! Audio streams.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{of, sound, start, start_with};

#[tokio::test]
async fn plain_samples_give_analyses_and_events() {
    let server = start().await;
    let mut client = server.connect("audio/plain").await;
    let started = client.wait("stream_started").await;
    assert_eq!(started["stream_id"], "plain");
    assert_eq!(started["settings"]["sample_rate"], 44_100);
    assert_eq!((&started["resumed"], &started["next_sample"]), (&json!(false), &json!(0)));
    assert_eq!(started.get("credit"), None, "credit is for frames");
    for block in sound(2.0).chunks(4410) {
        client.play(block).await;
    }
    let all = client.finish().await;
    let analyses = of(&all, "analysis");
    assert_eq!(analyses.len(), 19, "ten a second, from 0.1 s");
    let last = analyses[18];
    for name in [
        "timestamp",
        "sample",
        "sequence",
        "tempo",
        "confidence",
        "tempo_alternatives",
        "next_beat",
        "pitch",
        "pitch_confidence",
        "energy",
        "energy_forecast",
        "rms",
        "peak",
        "spectral_centroid",
        "spectral_rolloff",
        "zero_crossing_rate",
        "onset_detected",
        "onset_strength",
        "loudness",
        "chroma",
        "chord",
        "key",
        "next_chord",
        "level",
    ] {
        assert!(last.get(name).is_some(), "{name} is missing: known or null, but there");
    }
    assert!((last["pitch"].as_f64().unwrap() - 440.0).abs() < 1.0);
    assert_eq!(last["chroma"].as_array().unwrap().len(), 12);
    assert_eq!(last["energy"], Value::Null, "known after 3 s only");
    let onsets: Vec<_> =
        of(&all, "onset").iter().map(|m| m["timestamp"].as_f64().unwrap()).collect();
    assert_eq!(onsets.len(), 3, "{onsets:?}");
    for (onset, click) in onsets.iter().zip([0.5, 1.0, 1.5]) {
        assert!((onset - click).abs() < 0.02, "{onset} for {click}");
    }
    let stats = &of(&all, "stream_stopped")[0]["stats"];
    assert_eq!(
        (&stats["samples_received"], &stats["samples_analyzed"]),
        (&json!(88_200), &json!(88_200))
    );
    assert_eq!((&stats["gaps"], &stats["overflows"]), (&json!(0), &json!(0)));
    assert!(stats["latency_p99"].as_f64().unwrap() > 0.0);
    server.stop().await;
}

#[tokio::test]
async fn integers_and_channels_are_read_as_they_are() {
    let server = start().await;
    let path = "audio/s16?format=s16&channels=2&sample_rate=48000&rate=50&spectrogram=true&features=mfcc,stereo";
    let mut client = server.connect(path).await;
    let step = 330.0 * std::f64::consts::TAU / 48_000.0;
    // Left only: half the level in the mean, all on one side.
    let bytes = |n: i32| {
        let left = ((f64::from(n) * step).sin() * 16_384.0) as i16;
        [left.to_le_bytes(), [0, 0]].concat()
    };
    client.bytes((0..48_000).flat_map(bytes).collect()).await;
    let all = client.finish().await;
    let analyses = of(&all, "analysis");
    assert!((47..=50).contains(&analyses.len()), "{}", analyses.len());
    let last = analyses[analyses.len() - 1];
    assert!((last["pitch"].as_f64().unwrap() - 330.0).abs() < 1.0);
    assert!((last["peak"].as_f64().unwrap() - 0.25).abs() < 0.001);
    assert_eq!(last["log_mel"].as_array().unwrap().len(), 64);
    assert_eq!(last["features"]["mfcc"].as_array().unwrap().len(), 20);
    assert_eq!(last["features"]["stereo"][2].as_f64().unwrap().abs(), 1.0, "balance");
    server.stop().await;
}

#[tokio::test]
async fn frames_are_acknowledged_and_their_gaps_are_known() {
    let server = start().await;
    let mut client = server.connect("audio/framed?framing=framed").await;
    let started = client.wait("stream_started").await;
    assert_eq!(started["credit"], 88_200, "two seconds");
    let sound = sound(1.0);
    client.frame(1, 0, &sound[..20_000]).await;
    client.frame(2, 20_000, &sound[20_000..22_000]).await;
    loop {
        let ack = client.wait("ack").await;
        if ack["sequence"] == 2 && ack["analyzed"] == 22_000 {
            assert_eq!(ack["credit"], 88_200);
            break;
        }
    }
    // 1000 samples are missing.
    client.frame(3, 23_000, &sound[23_000..]).await;
    let gap = client.wait("gap").await;
    assert_eq!((&gap["sample"], &gap["lost"]), (&json!(22_000), &json!(1000)));
    assert_eq!(gap["reason"], "client");
    // What came late, again, or from elsewhere is refused, and the stream goes on.
    client.frame(2, 20_000, &sound[20_000..22_000]).await;
    assert_eq!(client.wait("error").await["code"], "out_of_order");
    client.bytes(b"RIFF....WAVEfmt ............................".to_vec()).await;
    assert_eq!(client.wait("error").await["code"], "invalid_frame");
    let mut other = upbeat_server::wire::Frame {
        stream: 1,
        sequence: 9,
        first_sample: 44_100,
        sample_rate: 48_000,
        channels: 1,
        format: upbeat_server::wire::SampleFormat::F32,
        payload: &[0; 400],
    };
    client.bytes(other.to_bytes()).await;
    assert_eq!(client.wait("error").await["code"], "format_changed");
    (other.sample_rate, other.stream) = (44_100, 2);
    client.bytes(other.to_bytes()).await;
    assert_eq!(client.wait("error").await["code"], "wrong_stream");
    client.frame(4, 44_100, &sound[..44_100]).await;
    let all = client.finish().await;
    let stats = &of(&all, "stream_stopped")[0]["stats"];
    assert_eq!((&stats["gaps"], &stats["samples_lost"]), (&json!(1), &json!(1000)));
    assert_eq!(
        (&stats["messages_invalid"], &stats["samples_analyzed"]),
        (&json!(4), &json!(87_200))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_resumed_goes_on() {
    let server = start().await;
    let mut client = server.connect("audio/lost").await;
    let started = client.wait("stream_started").await;
    let token = started["resume_token"].as_str().unwrap().to_owned();
    client.play(&sound(1.0)).await;
    while client.wait("analysis").await["timestamp"].as_f64().unwrap() < 0.89 {}
    drop(client);

    // Nobody else can have it, whether its owner is there or not.
    for path in ["audio/lost", "audio/lost?resume=00000000000000000000000000000000"] {
        let mut thief = server.connect(path).await;
        assert_eq!(thief.wait("error").await["code"], "stream_exists");
        assert!(thief.next().await.is_none(), "closed");
    }
    sleep(Duration::from_millis(100)).await;
    let mut client = server.connect(&format!("audio/lost?resume={token}")).await;
    let started = client.wait("stream_started").await;
    assert_eq!(started["resumed"], true);
    let next = started["next_sample"].as_u64().unwrap();
    assert!((44_100 + 4410..44_100 * 30).contains(&next), "time has passed: {next}");
    // A second connection with the token replaces the first, which may be dead without anyone knowing.
    let mut again = server.connect(&format!("audio/lost?resume={token}")).await;
    assert_eq!(again.wait("stream_started").await["resumed"], true);
    while client.next().await.is_some() {}
    again.play(&sound(1.0)).await;
    let gap = again.wait("gap").await;
    assert_eq!((&gap["sample"], &gap["reason"]), (&json!(44_100), &json!("reconnect")));
    assert!(gap["lost"].as_u64().unwrap() >= 4410);
    let all = again.finish().await;
    let sequence = |m: &&Value| m["sequence"].as_u64().unwrap();
    assert!(sequence(&of(&all, "analysis")[0]) > 9, "numbers go on");
    assert_eq!(of(&all, "stream_stopped")[0]["stats"]["samples_analyzed"], 88_200);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_nobody_resumes_ends() {
    let server = start_with(|config| config.limits.resume = Duration::from_millis(200)).await;
    let mut client = server.connect("audio/gone").await;
    let token = client.wait("stream_started").await["resume_token"].as_str().unwrap().to_owned();
    client.play(&sound(0.5)).await;
    client.wait("analysis").await;
    drop(client);
    while server.get("/api/v1/stream/stats/gone").await.status == 200 {
        sleep(Duration::from_millis(20)).await;
    }
    // Its owner gets a new one, and is told.
    let mut client = server.connect(&format!("audio/gone?resume={token}")).await;
    let started = client.wait("stream_started").await;
    assert_eq!((&started["resumed"], &started["next_sample"]), (&json!(false), &json!(0)));
    assert_ne!(started["resume_token"], json!(token));
    server.stop().await;
}

#[tokio::test]
async fn too_much_audio_is_dropped_from_its_oldest_end_and_told() {
    let server = start_with(|config| {
        config.threads = Some(1);
        config.limits.buffer = Duration::from_millis(200);
        config.limits.message = 8 << 20;
    })
    .await;
    let mut calm = server.connect("audio/calm").await;
    let mut flood = server.connect("audio/flood?framing=framed").await;
    // A minute at once, into room for 0.2 s.
    flood.frame(1, 0, &sound(10.0)).await;
    flood.frame(2, 441_000, &sound(10.0)).await;
    calm.play(&sound(0.2)).await;
    let gap = flood.wait("gap").await;
    assert_eq!(gap["reason"], "overflow");
    let flooded = flood.finish().await;
    let stats = &of(&flooded, "stream_stopped")[0]["stats"];
    let number = |name: &str| stats[name].as_u64().unwrap();
    assert!(number("overflows") >= 1);
    assert_eq!(number("samples_received"), 882_000);
    assert_eq!(number("samples_analyzed") + number("samples_overflowed"), 882_000);
    let calm = calm.finish().await;
    let stats = &of(&calm, "stream_stopped")[0]["stats"];
    assert_eq!((&stats["samples_analyzed"], &stats["gaps"]), (&json!(8820), &json!(0)));
    server.stop().await;
}

/// A client that reads nothing gets the newest state once it does, and the server keeps no more than that.
#[tokio::test]
async fn a_client_that_does_not_acknowledge_is_not_drowned() {
    let server = start_with(|config| config.limits.bytes_per_second = 1 << 30).await;
    let mut client = server.connect("audio/slow?framing=framed&rate=100").await;
    client.wait("stream_started").await;
    client.say(json!({ "type": "ack", "sequence": 0 })).await;
    let sound = sound(10.0);
    for (i, block) in sound.chunks(4410).enumerate() {
        client.frame(i as u32, i as u64 * 4410, block).await;
        while client.wait("ack").await["sequence"] != i as u64 {}
    }
    let told = |all: &[Value]| {
        let numbers = all.iter().filter_map(|message| {
            let told = message["type"] != "ack" && message["type"] != "stream_stopped";
            message["sequence"].as_u64().filter(|_| told)
        });
        numbers.collect::<Vec<_>>()
    };
    let first = told(&client.skipped);
    assert_eq!(first, (1..=64).collect::<Vec<_>>(), "no more than the window");
    client.skipped.clear();
    client.say(json!({ "type": "ack", "sequence": 64 })).await;
    let rest = client.finish().await;
    let stats = &of(&rest, "stream_stopped")[0]["stats"];
    let dropped = stats["messages_dropped"].as_u64().unwrap();
    assert!(dropped > 500, "{dropped}");
    let numbers = told(&rest);
    let last = numbers[numbers.len() - 1];
    assert!(last > 990 && numbers.len() <= 260, "the newest: {last} of {}", numbers.len());
    assert_eq!(of(&rest, "onset").len() + first_onsets(&first), 19, "no event is lost");
    server.stop().await;
}

/// Onsets among the first 64 messages are in the skipped ones: one at 0.5 s, with 100 analyses a second.
fn first_onsets(first: &[u64]) -> usize {
    usize::from(first.len() == 64)
}

#[tokio::test]
async fn what_has_come_is_answered_before_the_server_ends() {
    let server = start().await;
    let mut client = server.connect("audio/last?rate=100").await;
    client.wait("stream_started").await;
    client.play(&sound(1.5)).await;
    // Once it has begun to analyse, it has got the message.
    client.wait("analysis").await;
    let ending = server.ask_to_stop();
    let all = client.rest().await;
    assert_eq!(of(&all, "stream_stopped")[0]["stats"]["samples_analyzed"], 66_150);
    ending.await.unwrap().unwrap();
}
