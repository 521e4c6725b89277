//! Work on all cores, results in order, and never more at once than memory allows.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Jobs that are made and not yet taken, at most.
const WAITING: usize = 48;

/// Runs `work` over all jobs on `workers` threads and hands the results to `take` in the order of
/// the jobs. `jobs` runs on a thread of its own; `take` on the caller's, and ends everything by
/// returning `false`.
pub fn in_order<J: Send, R: Send>(
    workers: usize,
    jobs: impl Iterator<Item = J> + Send,
    work: impl Fn(J) -> R + Sync,
    mut take: impl FnMut(R) -> bool,
) {
    let workers = workers.clamp(1, WAITING);
    let room = (2 * workers).min(WAITING);
    // A job is made only when a ticket is free; a result that was taken frees one.
    let (free, tickets) = sync_channel::<()>(room);
    for _ in 0..room {
        let _ = free.try_send(());
    }
    let (give, given) = sync_channel::<(u64, J)>(room);
    let (done, results) = sync_channel::<(u64, R)>(room);
    let given = Mutex::new(given);
    std::thread::scope(|scope| {
        scope.spawn(move || produce(jobs, &tickets, &give));
        for _ in 0..workers {
            let done = done.clone();
            let (given, work) = (&given, &work);
            scope.spawn(move || {
                loop {
                    let next = given.lock().ok().and_then(|given| given.recv().ok());
                    let Some((number, job)) = next else { break };
                    if done.send((number, work(job))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        let mut early: BTreeMap<u64, R> = BTreeMap::new();
        let mut wanted = 0;
        'all: for (number, result) in &results {
            early.insert(number, result);
            while let Some(result) = early.remove(&wanted) {
                wanted += 1;
                if !take(result) {
                    break 'all;
                }
                let _ = free.try_send(());
            }
        }
        // Dropped here, both ends let the other threads go.
        drop((free, results));
    });
}

fn produce<J>(jobs: impl Iterator<Item = J>, tickets: &Receiver<()>, give: &SyncSender<(u64, J)>) {
    let mut jobs = jobs;
    for number in 0.. {
        // Without a ticket nobody takes results any more.
        if tickets.recv().is_err() {
            return;
        }
        let Some(job) = jobs.next() else { return };
        if give.send((number, job)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_jobs() {
        for workers in [1, 3, 200] {
            let mut taken = Vec::new();
            let slow = |n: u64| {
                for _ in 0..(n * 7_919 % 97) {
                    std::thread::yield_now();
                }
                n * 2
            };
            in_order(workers, 0..1_000_u64, slow, |n| {
                taken.push(n);
                true
            });
            assert!(taken.iter().copied().eq((0..1_000).map(|n| n * 2)), "{workers}");
        }
    }

    #[test]
    fn who_has_enough_stops_the_work() {
        let mut taken = 0;
        in_order(
            2,
            0_u64..,
            |n| n,
            |_| {
                taken += 1;
                taken < 100
            },
        );
        assert_eq!(taken, 100);
    }
}
