//! Control connections.

use serde_json::{Value, json};

use crate::support::{Client, of, sound, start};

async fn ask(client: &mut Client, command: Value) -> Value {
    client.say(command).await;
    client.next().await.expect("an answer")
}

#[tokio::test]
async fn streams_are_asked_about_and_changed() {
    let server = start().await;
    let mut audio = server.connect("audio/a").await;
    audio.wait("stream_started").await;
    let mut control = server.connect("control/a").await;
    let stats = ask(&mut control, json!({ "command": "get_stats", "request": 7 })).await;
    assert_eq!((&stats["type"], &stats["request"]), (&json!("stats"), &json!(7)));
    assert_eq!((&stats["connected"], &stats["utilization"]), (&json!(true), &Value::Null));
    let streams = ask(&mut control, json!({ "command": "list_streams" })).await;
    assert_eq!(streams["streams"][0]["stream_id"], "a");

    let done = |answer: &Value| assert_eq!(answer["type"], "done", "{answer}");
    done(&ask(&mut control, json!({ "command": "set_rate", "rate": 50 })).await);
    done(&ask(&mut control, json!({ "command": "set_features", "features": ["mfcc"] })).await);
    audio.play(&sound(1.0)).await;
    let mut analyses = 1;
    while audio.wait("analysis").await["timestamp"].as_f64().unwrap() < 0.97 {
        analyses += 1;
    }
    assert!((44..=49).contains(&analyses), "{analyses}");

    done(&ask(&mut control, json!({ "command": "pause" })).await);
    audio.play(&sound(0.5)).await;
    let mut stats = Value::Null;
    for _ in 0..1000 {
        stats = ask(&mut control, json!({ "command": "get_stats" })).await;
        if stats["messages_received"] == 2 {
            break;
        }
    }
    assert_eq!((&stats["paused"], &stats["samples_received"]), (&json!(true), &json!(44_100)));
    done(&ask(&mut control, json!({ "command": "resume" })).await);
    audio.play(&sound(0.5)).await;
    let gap = audio.wait("gap").await;
    assert_eq!((&gap["lost"], &gap["reason"]), (&json!(22_050), &json!("paused")));

    done(&ask(&mut control, json!({ "command": "reset_analysis" })).await);
    audio.play(&sound(0.5)).await;
    let all = audio.finish().await;
    let stats = &of(&all, "stream_stopped")[0]["stats"];
    assert_eq!((&stats["gaps"], &stats["samples_analyzed"]), (&json!(1), &json!(88_200)));
    let last = of(&all, "analysis").pop().unwrap();
    assert_eq!(last["features"]["mfcc"].as_array().unwrap().len(), 20);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_command_is_told_and_the_connection_stays() {
    let server = start().await;
    let mut control = server.connect("control/nobody").await;
    for (text, code) in [
        ("", "invalid_command"),
        ("nonsense", "invalid_command"),
        ("[]", "invalid_command"),
        ("{}", "invalid_command"),
        (r#"{"command":7}"#, "invalid_command"),
        (r#"{"command":"explode"}"#, "unknown_command"),
        (r#"{"command":"get_stats"}"#, "no_such_stream"),
        (r#"{"command":"get_stats","stream_id":"../../etc/passwd"}"#, "invalid_stream_id"),
        (r#"{"command":"set_rate","rate":10}"#, "no_such_stream"),
        (&"[".repeat(50_000), "invalid_command"),
        (&format!(r#"{{"command":"{}"}}"#, "x".repeat(10_000)), "unknown_command"),
    ] {
        control.text(text).await;
        let answer = control.next().await.expect("an answer");
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{answer}");
    }
    control.bytes(vec![1, 2, 3]).await;
    assert_eq!(control.next().await.unwrap()["code"], "invalid_command");
    let _audio = server.connect("audio/nobody").await;
    for (command, code) in [
        (json!({ "command": "set_rate" }), "invalid_command"),
        (json!({ "command": "set_rate", "rate": 1000 }), "invalid_setting"),
        (json!({ "command": "set_features" }), "invalid_command"),
        (json!({ "command": "set_features", "features": "loudnes" }), "invalid_setting"),
    ] {
        assert_eq!(ask(&mut control, command).await["code"], code);
    }
    assert_eq!(ask(&mut control, json!({ "command": "get_stats" })).await["type"], "stats");
    server.stop().await;
}

#[tokio::test]
async fn another_connection_can_watch() {
    let server = start().await;
    let mut audio = server.connect("audio/show").await;
    audio.wait("stream_started").await;
    let mut watcher = server.connect("control/light").await;
    let command = json!({ "command": "subscribe", "stream_id": "show" });
    assert_eq!(ask(&mut watcher, command.clone()).await["type"], "done");
    assert_eq!(ask(&mut watcher, command).await["type"], "done", "twice is once");
    audio.play(&sound(2.0)).await;
    let told = audio.finish().await;
    watcher.wait("stream_stopped").await;
    let seen = std::mem::take(&mut watcher.skipped);
    assert_eq!(of(&seen, "onset"), of(&told, "onset"));
    assert_eq!(of(&seen, "analysis"), of(&told, "analysis"));
    assert_eq!(of(&seen, "onset").len(), 3);
    server.stop().await;
}
