//! How long the server is busy when the ground moves under much that waits.
//!
//! `cargo test --release --lib approval::tests::measure -- --ignored --nocapture`

use super::*;
use std::fmt::Write as _;
use std::time::Duration;

const COMMUNES: usize = 100;
const DEVICES: usize = 5_000;

/// Time on a processor, so that what else runs does not count.
fn busy_ms() -> i64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks: Vec<i64> = after.split(' ').skip(12).take(2).map(|n| n.parse().unwrap()).collect();
    ticks.iter().sum::<i64>() * 10
}

fn took(since: i64) -> Duration {
    Duration::from_millis(u64::try_from(busy_ms() - since).unwrap())
}

/// One hundred communes with a list each; every second one proposes another hour, and the first
/// of them is approved.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_hundred_proposals_over_five_thousand_devices() {
    let mut town = Town::new().await;
    let mut units = "id,name,parent\n51,Tỉnh Quảng Ngãi,\n".to_owned();
    for n in 0..COMMUNES {
        let _ = writeln!(units, "{:05},Xã {n},51", 10_000 + n);
    }
    let mut devices = "id,name,unit,tags,profile\n".to_owned();
    for n in 0..DEVICES {
        let _ = writeln!(devices, "loa-{n},Loa,{:05},,loa-ip", 10_000 + n % COMMUNES);
    }
    let register = crate::config::units_from_csv("units.csv", units.as_bytes(), &[]).unwrap();
    town.store.put_units(&register).await.unwrap();
    town.save("units.csv", &units);
    town.save("devices.csv", &devices);
    let whole = town.look_at_all().await;
    for one in whole {
        town.propose("lan", &one.hash).await.unwrap();
        town.approve("minh", &one.hash).await.unwrap();
    }
    let lists = |town: &mut Town, hour: &str| {
        for n in 0..COMMUNES {
            let list = list(&format!("{:05}", 10_000 + n), hour);
            town.save(&format!("xa-{n:03}.toml"), &list);
        }
    };
    lists(&mut town, "17:00");
    let began = busy_ms();
    let all = town.look_at_all().await;
    println!("first look at {} proposals: {:?}", all.len(), took(began));
    let bytes: usize = all.iter().map(|one| serde_json::to_vec(one).unwrap().len()).sum();
    println!("stored: {bytes} bytes");
    let began = busy_ms();
    town.look_at_all().await;
    println!("second look: {:?}", took(began));
    for one in &all {
        town.propose("lan", &one.hash).await.unwrap();
    }
    let began = busy_ms();
    town.approve("minh", &all[0].hash).await.unwrap();
    println!("approve the first: {:?}", took(began));
    let began = busy_ms();
    let left = town.look_at_all().await;
    println!("look again at {} that somebody stands for: {:?}", left.len(), took(began));
    assert!(left.iter().all(|one| one.stand == Stand::Open));
    let began = busy_ms();
    town.approve("minh", &all[1].hash).await.unwrap();
    println!("approve the second: {:?}", took(began));
    let began = busy_ms();
    town.approve("minh", &all[2].hash).await.unwrap();
    println!("approve the third, over another version: {:?}", took(began));
}
