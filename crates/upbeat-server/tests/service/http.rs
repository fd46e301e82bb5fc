//! HTTP.

use std::io::Cursor;

use serde_json::{Value, json};

use crate::support::{of, sound, start, start_with};

fn wav(samples: &[f32]) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 44_100,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut bytes = Vec::new();
    let mut writer = hound::WavWriter::new(Cursor::new(&mut bytes), spec).expect("a header");
    for sample in samples {
        writer.write_sample(*sample).expect("memory");
    }
    writer.finalize().expect("memory");
    bytes
}

#[tokio::test]
async fn streams_are_started_watched_and_stopped() {
    let server = start().await;
    let settings = br#"{"sample_rate":48000,"rate":20}"#;
    let started = server.post("/api/v1/stream/start/abc", settings).await;
    assert_eq!(started.status, 201, "{}", started.text());
    assert_eq!(started.json()["settings"]["sample_rate"], 48_000);
    assert_eq!(server.post("/api/v1/stream/start/abc", b"").await.status, 409);
    // The first connection has it with the settings it was started with; a second one does not.
    let mut client = server.connect("audio/abc").await;
    let hello = client.wait("stream_started").await;
    assert_eq!((&hello["settings"]["rate"], &hello["resumed"]), (&json!(20.0), &json!(false)));
    let mut other = server.connect("audio/abc").await;
    assert_eq!(other.wait("error").await["code"], "stream_exists");
    client.play(&sound(1.0)).await;
    client.wait("analysis").await;
    let list = server.get("/api/v1/stream/list").await.json();
    assert_eq!(list["streams"][0]["stream_id"], "abc");
    assert_eq!(server.get("/api/v1/stream/stats/abc").await.json()["samples_received"], 44_100);
    let health = server.get("/api/v1/stream/health").await.json();
    assert_eq!((&health["status"], &health["streams"]), (&json!("ok"), &json!(1)));
    let stopped = server.post("/api/v1/stream/stop/abc", b"").await;
    assert_eq!((stopped.status, &stopped.json()["samples_analyzed"]), (200, &json!(44_100)));
    let rest = client.rest().await;
    assert_eq!(of(&rest, "stream_stopped").len(), 1);
    assert_eq!(server.post("/api/v1/stream/stop/abc", b"").await.status, 404);
    assert_eq!(server.get("/api/v1/stream/stats/abc").await.status, 404);

    let metrics = server.get("/metrics").await;
    assert!(metrics.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    let metrics = metrics.text();
    assert!(metrics.contains("\nupbeat_samples_analyzed_total 44100\n"), "{metrics}");
    assert!(metrics.contains("\nupbeat_streams 0\n") && metrics.contains("quantile=\"0.99\""));
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once(' ').expect("a name and a value");
        assert!(name.starts_with("upbeat_") && value.parse::<f64>().is_ok(), "{line}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_served_is_told_as_json() {
    let server = start().await;
    for (method, path, body, status, code) in [
        ("GET", "/nothing", "", 404, "not_found"),
        ("DELETE", "/api/v1/stream/list", "", 405, "method_not_allowed"),
        ("POST", "/api/v1/stream/start/a%2Fb", "", 400, "invalid_stream_id"),
        ("POST", "/api/v1/stream/start/..", "", 400, "invalid_stream_id"),
        ("POST", "/api/v1/stream/start/%2e%2e", "", 400, "invalid_stream_id"),
        ("GET", "/api/v1/stream/stats/..%2f..%2fetc%2fpasswd", "", 400, "invalid_stream_id"),
        ("GET", "/api/v1/stream/stats/%00", "", 400, "invalid_stream_id"),
        ("POST", "/api/v1/stream/start/a", "{", 400, "invalid_setting"),
        ("POST", "/api/v1/stream/start/a", r#"{"sample_rate":1}"#, 400, "invalid_setting"),
        ("POST", "/api/v1/stream/start/a", r#"{"samplerate":44100}"#, 400, "invalid_setting"),
        ("POST", "/api/v1/analyze", "no sound", 422, "not_audio"),
        ("POST", "/api/v1/analyze", "", 422, "not_audio"),
    ] {
        let answer = server.request(method, path, &[], body.as_bytes()).await;
        let problem = answer.json();
        assert_eq!((answer.status, &problem["code"]), (status, &json!(code)), "{path} {problem}");
        assert_eq!(problem["type"], "error");
    }
    // Paths outside of what is served are nothing at all.
    for path in [
        "/../Cargo.toml",
        "/page/../../Cargo.toml",
        "/page/%2e%2e/src/main.rs",
        "/api/docs/../../x",
    ] {
        assert!(server.get(path).await.status >= 400, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_file_is_analysed_with_progress() {
    let server = start().await;
    let file = wav(&sound(7.0));
    let answer = server.post("/api/v1/analyze", &file).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let summary = answer.json();
    assert_eq!((&summary["duration"], &summary["sample_rate"]), (&json!(7.0), &json!(44_100)));
    assert_eq!(summary["onsets"].as_array().unwrap().len(), 13);
    assert!((summary["features"]["pitch"]["mean"].as_f64().unwrap() - 440.0).abs() < 1.0);
    assert!((60..=71).contains(&summary["energy"].as_array().unwrap().len()));
    // A click every half second.
    let tempo = summary["tempo"].as_f64().unwrap();
    assert!((tempo - 120.0).abs() < 1.0, "{tempo}");
    let beats: Vec<f64> =
        summary["beats"].as_array().unwrap().iter().map(|beat| beat.as_f64().unwrap()).collect();
    assert!(beats.len() > 3, "{beats:?}");
    assert!(beats.iter().all(|beat| (beat / 0.5 - (beat / 0.5).round()).abs() < 0.1), "{beats:?}");
    assert_eq!(summary["damage"], Value::Null);

    let accept = [("Accept", "text/event-stream")];
    let answer = server.request("POST", "/api/v1/analyze", &accept, &file).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let text = answer.text();
    let events: Vec<(&str, Value)> = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("event: ")?.split_once("\ndata: "))
        .map(|(name, data)| (name, serde_json::from_str(data).expect("JSON")))
        .collect();
    let (last, progress) = events.split_last().expect("events");
    assert_eq!((last.0, &last.1), ("result", &summary));
    assert_eq!(progress.len(), 3, "every two seconds of sound");
    for (i, (name, progress)) in progress.iter().enumerate() {
        let seconds = progress["analyzed"].as_f64().unwrap() - 2.0 * (i as f64 + 1.0);
        assert!(*name == "progress" && (0.0..0.2).contains(&seconds) && progress["total"] == 7.0);
    }
    let answer = server.request("POST", "/api/v1/analyze", &accept, &file[..20]).await;
    assert!(
        answer.text().starts_with("event: error\ndata: {\"type\":\"error\",\"code\":\"not_audio\"")
    );
    server.stop().await;
}

#[tokio::test]
async fn uploads_are_limited() {
    let server = start_with(|config| {
        config.limits.upload = 100_000;
        config.limits.upload_duration = std::time::Duration::from_millis(100);
    })
    .await;
    let answer = server.post("/api/v1/analyze", &wav(&sound(1.0))).await;
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("too_large")));
    let answer = server.post("/api/v1/analyze", &wav(&sound(0.5))).await;
    assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("too_long")));
    // A length that is not said beforehand does not help.
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000)).repeat(2) + "0\r\n\r\n";
    let answer = server.chunked("/api/v1/analyze", chunk.as_bytes()).await;
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("too_large")));
    server.stop().await;
}

#[tokio::test]
async fn the_interface_is_described_without_help_from_elsewhere() {
    let server = start().await;
    let openapi = server.get("/api/openapi.json").await.json();
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1"), "{}", openapi["openapi"]);
    for path in ["/api/v1/stream/start/{stream_id}", "/api/v1/analyze", "/metrics"] {
        assert!(openapi["paths"].get(path).is_some(), "{path}");
    }
    assert_eq!(server.get("/api/docs").await.status, 303);
    for path in ["/", "/api/docs/", "/api/redoc"] {
        let answer = server.get(path).await;
        let page = answer.text();
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.headers["content-security-policy"].starts_with("default-src 'self'"));
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(
            !page.contains("//cdn")
                && !page.contains("src=\"http")
                && !page.contains("href=\"http"),
            "{path}"
        );
        // All that the page refers to is served too.
        for attribute in ["src=\"", "href=\""] {
            for reference in page.split(attribute).skip(1) {
                let target = reference.split('"').next().expect("a closing quote");
                let absolute = if target.starts_with('/') {
                    target.to_owned()
                } else {
                    format!("/api/docs/{}", target.trim_start_matches("./"))
                };
                assert_eq!(server.get(&absolute).await.status, 200, "{path}: {absolute}");
            }
        }
    }
    let redoc = server.get("/api/redoc.standalone.js").await;
    assert_eq!(redoc.headers["content-encoding"], "gzip");
    assert_eq!(redoc.body[..2], [0x1f, 0x8b]);
    server.stop().await;
}

#[tokio::test]
async fn strangers_are_kept_out() {
    let server = start_with(|config| config.token = Some("a-long-enough-token".into())).await;
    assert_eq!(server.get("/api/v1/stream/list").await.status, 401);
    assert_eq!(server.get("/api/v1/stream/list?token=a-long-enough-token").await.status, 200);
    let bearer = [("Authorization", "Bearer a-long-enough-token")];
    assert_eq!(server.request("GET", "/metrics", &bearer, b"").await.status, 200);
    assert_eq!(server.try_connect("audio/x", &[]).await.err(), Some(401));
    assert!(server.try_connect("audio/x?token=a-long-enough-token", &[]).await.is_ok());
    let evil = [("origin", "https://evil.example")];
    let refused = server.try_connect("control/x?token=a-long-enough-token", &evil).await;
    assert_eq!(refused.err(), Some(403));
    server.stop().await;

    let server = start().await;
    assert_eq!(server.try_connect("audio/x", &evil).await.err(), Some(403));
    let rebound = [("Host", "evil.example")];
    assert_eq!(server.request("GET", "/", &rebound, b"").await.status, 403);
    server.stop().await;
}
