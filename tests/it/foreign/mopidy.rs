//! A program that others wrote, driven for real: Mopidy with the Mopiqtt front end, on a real
//! broker, fetches a clip by HTTP and sounds through a sound server of the test's own.

#![expect(clippy::cast_possible_truncation, reason = "samples are small")]

use super::rig::{OpenBroker, Plan, Rig};
use crate::e2e::sound::write_chirp;
use crate::support::pulse::Pulse;
use crate::support::wait;
use loa::device::executor::{Action, Ended, Event};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const CLIP_S: f64 = 3.0;

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts Mopidy and waits until it answers on the broker.
async fn mopidy(pulse: &Pulse, folder: &Path, broker: &OpenBroker) -> Program {
    let site = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".venv/mopidy");
    assert!(site.join("mopiqtt").is_dir(), "Mopiqtt is installed by `make setup`");
    let at = folder.display();
    let config = format!(
        "[core]\ncache_dir = {at}/cache\nconfig_dir = {at}/config\ndata_dir = {at}/data\n\
         [audio]\noutput = pulsesink\nmixer = software\nbuffer_time = 200\n\
         [http]\nenabled = false\n[file]\nenabled = false\n[m3u]\nenabled = false\n\
         [softwaremixer]\nenabled = true\n[stream]\nenabled = true\nprotocols = http\n\
         [mopiqtt]\nenabled = true\nhost = 127.0.0.1\nport = {}\ntopic = mopidy\n",
        broker.port
    );
    std::fs::write(folder.join("mopidy.conf"), config).unwrap();
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let child = pulse
        .client("/usr/bin/mopidy")
        .arg("--config")
        .arg(folder.join("mopidy.conf"))
        .env("PYTHONPATH", site)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("Mopidy is installed by `make setup`");
    let program = Program(child);
    let topics = ["mopidy/stat/uri_schemes".to_owned()];
    let (ask, mut answers, _guard) = broker.client("asker", &topics).await;
    let answered = async {
        loop {
            // Until it has subscribed nobody hears the question.
            ask.publish("mopidy/cmnd/queryschemes", "x", false).await.unwrap();
            let answer = tokio::time::timeout(wait::DEADLINE / 100, answers.recv()).await;
            if answer.is_ok() {
                return;
            }
        }
    };
    wait::within("Mopidy answers", answered).await;
    program
}

/// Gives one file to whoever asks; returns its address.
async fn serve(path: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a/clip.wav", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = std::fs::read(&path).unwrap();
            tokio::spawn(async move {
                let mut head = [0; 4_096];
                let count = stream.read(&mut head).await.unwrap_or(0);
                let length = bytes.len();
                let reply = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: audio/wav\r\n\
                     content-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(reply.as_bytes()).await;
                if !head[..count].starts_with(b"HEAD") {
                    let _ = stream.write_all(&bytes).await;
                }
            });
        }
    });
    url
}

/// How strongly the clip is found in the recording, 0-1, and at which second it begins there.
fn found(clip: &[f32], street: &[f32], rate: usize) -> (f32, f64) {
    let step = rate / 200;
    let power = |part: &[f32]| part.iter().map(|x| x * x).sum::<f32>();
    let own = power(clip);
    let mut best = (0.0, 0);
    let match_at = |at: usize, every: usize| {
        let part = &street[at..at + clip.len()];
        let pairs = part.iter().zip(clip).step_by(every);
        pairs.map(|(a, b)| a * b).sum::<f32>() * every as f32
    };
    let last = street.len().saturating_sub(clip.len());
    // The loudest stretch of that length, then the exact place around it.
    let envelope = |at: usize| power(&street[at..at + clip.len()]);
    let coarse = (0..last).step_by(step * 4).max_by(|a, b| envelope(*a).total_cmp(&envelope(*b)));
    let around = coarse.unwrap_or(0);
    for at in around.saturating_sub(step * 40)..(around + step * 40).min(last) {
        let score = match_at(at, 37).abs();
        if score > best.0 {
            best = (score, at);
        }
    }
    let part = power(&street[best.1..(best.1 + clip.len()).min(street.len())]);
    let exact = match_at(best.1, 1).abs() / (own * part).sqrt().max(f32::MIN_POSITIVE);
    (exact, best.1 as f64 / rate as f64)
}

#[tokio::test]
async fn mopidy_sounds_what_the_gateway_orders_and_proves_it() {
    let (pulse, broker) = (Pulse::start().await, OpenBroker::start().await);
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.wav");
    write_chirp(&clip, CLIP_S);
    let _mopidy = mopidy(&pulse, folder.path(), &broker).await;
    let mut plan = Plan::shipped("mopidy");
    plan.dialect.timing.start_ms = 10_000;
    plan.dialect.timing.tolerance_ms = 3_000;
    plan.clip.url = serve(clip.clone()).await;
    let (exchange, _gateway) = broker.exchange();
    let mut rig = Rig::start(plan, Some(exchange));
    let recording = pulse.record();
    wait::until("the street is recorded", || recording.seconds() > 0.3).await;
    let clip_ms = 3_000;
    let played = rig.play(clip_ms).await;
    println!("{played:?}");
    assert_eq!((played.end, played.grade), (Ok(Ended::Clip), 2), "it named the clip");
    assert!((played.played_ms - clip_ms).abs() < 1_500, "{}", played.played_ms);
    let heard = recording.finish();
    let own: Vec<f32> = {
        let read = crate::e2e::sound::Recording::read(&clip);
        // The clip has 16,000 samples a second, the street 48,000.
        read.samples
            .windows(2)
            .flat_map(|two| {
                [0.0, 1.0 / 3.0, 2.0 / 3.0].map(|part| (two[0] + (two[1] - two[0]) * part) as f32)
            })
            .collect()
    };
    let (score, at) = found(&own, &heard, 48_000);
    println!("found with {score:.3} at {at:.2} s of {:.2} s", heard.len() as f64 / 48_000.0);
    assert!(score > 0.9, "the clip sounds on the street: {score}");

    // A stop is heard, and is no play of full length.
    let due = rig.clock.now().plus(300);
    let token = rig.order(clip_ms);
    while !matches!(rig.event().await, Event::Started { .. }) {}
    rig.obey(&Action::Halt { token, fade_ms: 0 });
    let halted = rig.outcome(token, due).await;
    assert_eq!(halted.end, Ok(Ended::Halted));
    assert!(halted.played_ms < clip_ms, "{halted:?}");
    let kept = rig.finish().await;
    let named = |piece: &serde_json::Value| piece["what"] == "StartedNamed" && piece["grade"] == 2;
    let proved = |document: &serde_json::Value| {
        document["grade"] == 2 && document["pieces"].as_array().unwrap().iter().any(named)
    };
    assert!(kept.iter().any(proved), "{kept:?}");
}
