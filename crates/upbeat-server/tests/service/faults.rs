//! Clients that are broken, dead or evil: the server stays up, and other streams do not notice.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, PATIENCE, Running, of, sound, start, start_with};

/// A stream that must get through: it sends while others misbehave, and loses nothing.
async fn witness(server: &Running) -> Client {
    let mut witness = server.connect("audio/witness").await;
    witness.play(&sound(0.5)).await;
    witness
}

async fn testify(mut witness: Client) {
    witness.play(&sound(0.5)).await;
    let all = witness.finish().await;
    let stats = &of(&all, "stream_stopped")[0]["stats"];
    assert_eq!((&stats["samples_analyzed"], &stats["gaps"]), (&json!(44_100), &json!(0)));
    assert_eq!(of(&all, "analysis").len(), 9, "at 0.1, 0.2, … s");
}

#[tokio::test]
async fn broken_messages_are_told_and_the_stream_goes_on() {
    let server = start().await;
    let witness = witness(&server).await;
    let mut client = server.connect("audio/broken").await;
    client.bytes(Vec::new()).await; // nothing is allowed
    for length in [1, 2, 3, 5, 4097] {
        client.bytes(vec![0; length]).await;
        assert_eq!(client.wait("error").await["code"], "partial_sample");
    }
    for text in [
        "",
        "{}",
        "null",
        r#"{"type":"explode"}"#,
        r#"{"type":"ping","time":{"a":[]}}"#,
        r#"{"type":"ack","sequence":-1}"#,
        r#"{"type":"ack","sequence":1e300}"#,
        &"[".repeat(200_000),
        &r#"{"type":"#.repeat(20_000),
    ] {
        client.text(text).await;
        assert_eq!(client.wait("error").await["code"], "invalid_message");
    }
    client.say(json!({ "type": "ping", "time": 12.5 })).await;
    assert_eq!(client.wait("pong").await["time"], 12.5);
    client
        .play(&[f32::NAN, f32::INFINITY, -f32::INFINITY, f32::MAX, f32::MIN_POSITIVE / 2.0])
        .await;
    client.play(&sound(1.0)).await;
    let all = client.finish().await;
    let stats = &of(&all, "stream_stopped")[0]["stats"];
    assert_eq!(stats["samples_sanitized"], 4);
    // The message of 4097 bytes stood for 1024 samples, that of 5 for one.
    assert_eq!((&stats["gaps"], &stats["samples_lost"]), (&json!(1), &json!(1025)));
    assert!(of(&all, "analysis").len() >= 9);
    testify(witness).await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_too_large_or_no_text_ends_the_connection_but_not_the_stream() {
    let server = start_with(|config| config.limits.message = 100_000).await;
    let witness = witness(&server).await;
    let mut client = server.connect("audio/large").await;
    let token = client.wait("stream_started").await["resume_token"].as_str().unwrap().to_owned();
    // 100 MB: the server must not take it in, and may close before all is sent.
    let _ = client.socket.send(Message::binary(vec![0; 100 << 20])).await;
    let all = client.rest().await;
    assert!(
        all.iter().all(|m| m["type"] == "error" && m["code"] == "message_too_large"),
        "{all:?}"
    );
    let mut client = server.connect(&format!("audio/large?resume={token}")).await;
    assert_eq!(client.wait("stream_started").await["resumed"], true);
    // A text frame of three bytes, masked with zeros, that is no UTF-8.
    let raw = client.socket.get_mut();
    raw.write_all(&[0x81, 0x83, 0, 0, 0, 0, 0xff, 0xfe, 0xfd]).await.unwrap();
    let all = client.rest().await;
    assert!(all.iter().all(|m| m["code"] == "invalid_text"), "{all:?}");
    let mut client = server.connect(&format!("audio/large?resume={token}")).await;
    assert_eq!(client.wait("stream_started").await["resumed"], true);
    testify(witness).await;
    server.stop().await;
}

#[tokio::test]
async fn impossible_streams_are_refused_with_the_reason() {
    let server = start_with(|config| config.limits.streams = 2).await;
    for (path, code) in [
        ("audio/x?sample_rate=0", "invalid_setting"),
        ("audio/x?sample_rate=7999", "invalid_setting"),
        ("audio/x?sample_rate=4294967295", "invalid_setting"),
        ("audio/x?sample_rate=-1", "invalid_setting"),
        ("audio/x?sample_rate=fast", "invalid_setting"),
        ("audio/x?channels=0", "invalid_setting"),
        ("audio/x?channels=65", "invalid_setting"),
        ("audio/x?rate=NaN", "invalid_setting"),
        ("audio/x?rate=1e9", "invalid_setting"),
        ("audio/x?format=mp3", "invalid_setting"),
        ("audio/x?features=everything", "invalid_setting"),
        ("audio/x?volume=11", "invalid_setting"),
        ("audio/%2e%2e%2fsecret", "invalid_stream_id"),
        ("audio/a%00b", "invalid_stream_id"),
        ("audio/%F0%9F%8E%B5", "invalid_stream_id"),
        ("control/a%20b", "invalid_stream_id"),
    ] {
        let mut client = server.connect(path).await;
        assert_eq!(client.wait("error").await["code"], code, "{path}");
        assert!(client.next().await.is_none(), "{path}: closed");
    }
    let _one = server.connect("audio/one").await;
    let mut two = server.connect("audio/two").await;
    two.wait("stream_started").await;
    assert_eq!(server.connect("audio/three").await.wait("error").await["code"], "too_many_streams");
    assert_eq!(server.post("/api/v1/stream/start/three", b"").await.status, 503);
    two.finish().await;
    let mut three = server.connect("audio/three").await;
    while three.next().await.is_some_and(|m| m["type"] == "error") {
        three = server.connect("audio/three").await; // the place becomes free within a moment
        sleep(Duration::from_millis(20)).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_silent_peer_is_let_go() {
    let server = start_with(|config| config.limits.idle = Duration::from_secs(1)).await;
    let witness = witness(&server).await;
    // Half open: the handshake, and then nothing, not even answers to pings.
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET /api/v1/stream/audio/half HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    timeout(PATIENCE, socket.read_to_end(&mut all)).await.expect("closed").unwrap();
    let text = String::from_utf8_lossy(&all);
    assert!(text.contains("\"code\":\"idle\""), "{text}");
    let stats = server.get("/api/v1/stream/stats/half").await.json();
    assert_eq!(stats["connected"], false, "it can be resumed");
    drop(witness); // it would have been silent for too long, too
    server.stop().await;
}

/// As after `kill -9` of a client: no goodbye, and unread data makes the system send a reset.
#[tokio::test]
async fn clients_that_die_are_forgotten() {
    let server = start_with(|config| config.limits.resume = Duration::from_millis(100)).await;
    let witness = witness(&server).await;
    for i in 0..50 {
        let mut client = server.connect(&format!("audio/dying{i}?rate=100")).await;
        client.play(&sound(0.3)).await;
        drop(client);
    }
    let start = Instant::now();
    while server.get("/api/v1/stream/list").await.json()["streams"].as_array().unwrap().len() > 1 {
        assert!(start.elapsed() < PATIENCE, "streams of dead clients stay");
        sleep(Duration::from_millis(50)).await;
    }
    testify(witness).await;
    server.stop().await;
}

/// A client that sends and never reads: what it is told is dropped, its audio is analysed all the same.
#[tokio::test]
async fn a_client_that_does_not_read_costs_a_bounded_amount() {
    let server = start_with(|config| config.limits.bytes_per_second = 1 << 30).await;
    let witness = witness(&server).await;
    let mut client =
        server.connect("audio/deaf?rate=100&features=melspectrogram,pcen,log_mel").await;
    let second = sound(0.5);
    let mut sent = 0;
    let stats = loop {
        client.play(&second).await;
        sent += 22_050;
        let stats = server.get("/api/v1/stream/stats/deaf").await.json();
        if stats["messages_dropped"].as_u64().unwrap() > 50 {
            break stats;
        }
        if stats["samples_queued"].as_u64().unwrap() > 44_100 {
            sleep(Duration::from_millis(20)).await;
        }
        assert!(sent < 44_100 * 300, "nothing is dropped");
    };
    assert!(stats["samples_received"].as_u64().unwrap() <= sent);
    testify(witness).await;
    server.stop().await;
}

#[tokio::test]
async fn a_crowd_at_the_door_does_no_harm() {
    let server = start_with(|config| config.limits.connections = 64).await;
    let witness = witness(&server).await;
    for _ in 0..20 {
        let mut crowd = Vec::new();
        for i in 0..50 {
            let mut socket = TcpStream::connect(server.address).await.unwrap();
            let request: &[u8] = match i % 3 {
                0 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                _ => b"",
            };
            socket.write_all(request).await.unwrap();
            crowd.push(socket);
        }
    }
    testify(witness).await;
    server.stop().await;
}
