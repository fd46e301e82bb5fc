//! A process that saves all the time is killed at random moments: what it said was saved is there, whole.
//!
//! `cargo test -p upbeat-adapt --test kills -- 10000` kills that often; without a number, 100 times.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use upbeat_adapt::{AdaptConfig, AdaptError, AdaptiveModels, Feedback, Response, TrackFeatures};

const CHILD: &str = "UPBEAT_ADAPT_SAVES_TO";

fn main() {
    if let Some(path) = std::env::var_os(CHILD) {
        save_until_killed(Path::new(&path));
    }
    let kills = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100);
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("models.json");
    let mut committed = 0;
    let mut halves = 0;
    for kill in 0..kills {
        let said = run_and_kill(&path, kill);
        let models = AdaptiveModels::load(&path).expect("a whole file");
        let saved = models.status().updates;
        assert!(saved >= said.max(committed), "kill {kill}: {said} were saved, {saved} are there");
        committed = saved;
        let leftovers = std::fs::read_dir(folder.path()).expect("readable").count() - 1;
        halves = halves.max(leftovers);
    }
    println!(
        "{kills} kills: {committed} saves, none lost; {halves} halves were left beside the file"
    );
    assert!(kills < 100 || halves > 0, "no kill came in the middle of a save");
}

/// Starts a child, kills it, and returns how many updates it last said it had saved.
fn run_and_kill(path: &Path, kill: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut said = lines.next().expect("the child saves").expect("text");
    let mixed = kill.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    std::thread::sleep(Duration::from_micros(mixed % 4000));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    for line in lines.map_while(Result::ok) {
        if line.ends_with('.') {
            said = line;
        }
    }
    said.trim_end_matches('.').parse().expect("a number of updates")
}

fn save_until_killed(path: &Path) -> ! {
    let mut models = match AdaptiveModels::load(path) {
        Ok(models) => models,
        Err(AdaptError::Io { .. }) => {
            AdaptiveModels::new(&AdaptConfig::default()).expect("the defaults are valid")
        }
        Err(error) => panic!("{error}"),
    };
    loop {
        let track = TrackFeatures { energy: Some(0.5), ..TrackFeatures::default() };
        let feedback = Feedback::new(Response::Accept);
        let now = models.status().updates as f64;
        models.update(now, &track, Some(&feedback), None).expect("valid");
        models.save(path).expect("the folder can be written to");
        println!("{}.", models.status().updates);
    }
}
