//! Which part of the work on a shared store this process does.
//!
//! Every process holds a lease that says it is there. The devices are shared out evenly among
//! those present, by sixteenths; one of them leads: it accepts the folder, compiles and publishes.
//! A process that dies is missed when its leases end, [`LEASE_MS`] after it last prolonged them,
//! and the others notice within [`LOOK`]. One that stood still beyond that finds its writes
//! refused by the number of its lease; a leader then ends, since another one publishes.

use crate::app::ingest::Shares;
use crate::app::live::{Alarm, Live};
use crate::app::ports::{Fence, Lease, LeaseName, SHARES, Store, StoreError};
use crate::clock::SharedClock;
use crate::domain::time::UtcMs;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a lease lasts without being prolonged.
pub const LEASE_MS: i64 = 12_000;
/// How often they are prolonged.
const PROLONG_MS: i64 = 4_000;
/// How often the leases of all are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What whoever leads needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The number under which schedules are written.
    pub fence: Fence,
    /// The number under which the log is.
    pub log: Fence,
    /// The process that led until now, when this one was there beside it.
    pub heir_of: Option<String>,
}

/// Takes the lead for the start, if nobody has it: what is read of the folder then may be written.
/// [`Duty`] prolongs it.
pub async fn begin(
    store: &dyn Store,
    holder: &str,
    now: UtcMs,
) -> Result<Option<Fence>, StoreError> {
    let lead = [LeaseName::Compiler, LeaseName::Publisher, LeaseName::Sequencer];
    let taken = store.take_leases(&lead, holder, now, now.plus(LEASE_MS)).await?;
    match taken.as_slice() {
        [compiler, _, _] => Ok(Some(compiler.fence())),
        some => {
            for lease in some {
                store.release_lease(lease).await?;
            }
            Ok(None)
        }
    }
}

/// Until when this process may believe that it leads.
#[derive(Clone, Debug)]
pub struct Tenure {
    until_mono: Arc<AtomicI64>,
}

impl Default for Tenure {
    fn default() -> Self {
        Self { until_mono: Arc::new(AtomicI64::new(i64::MIN)) }
    }
}

impl Tenure {
    /// One that never ends: nobody else can lead.
    #[cfg(test)]
    pub fn endless() -> Self {
        let tenure = Self::default();
        tenure.extend(i64::MAX);
        tenure
    }

    fn extend(&self, until_mono: i64) {
        self.until_mono.store(until_mono, Ordering::SeqCst);
    }

    /// Says whether it may still publish.
    pub fn lasts(&self, now_mono: i64) -> bool {
        now_mono < self.until_mono.load(Ordering::SeqCst)
    }
}

/// Keeps the leases of this process.
pub struct Duty {
    pub store: Arc<dyn Store>,
    pub clock: SharedClock,
    pub live: Arc<Live>,
    pub shares: Shares,
    pub tenure: Tenure,
    /// Name of this process among the holders.
    pub holder: String,
    /// `None` when no other process can be there.
    pub member: Option<LeaseName>,
    /// Set when another took the lead from us.
    pub deposed: Arc<AtomicBool>,
    /// Who leads besides us, as seen so far.
    pub leader: Option<Leader>,
}

/// Another process that leads.
#[derive(Clone, Debug)]
pub struct Leader {
    holder: String,
    until_ms: UtcMs,
    /// It was seen at work: this process watched the broker together with it, and does not begin
    /// where a dead one ended.
    alive: bool,
}

impl Duty {
    /// Keeps leases until told to stop, then gives them back. Ends the server when another one
    /// has taken the lead.
    pub async fn run(
        mut self,
        lead: watch::Sender<Option<Lead>>,
        stop: CancellationToken,
        end: CancellationToken,
    ) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut held: Vec<Lease> = Vec::new();
        let mut prolong_at = i64::MIN;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            let mono = self.clock.mono_ms();
            let looked = self.look(&held, mono >= prolong_at).await;
            if matches!(&looked, Ok(None)) {
                continue;
            }
            self.live.change(|picture| picture.writable = looked.is_ok());
            match looked {
                Ok(None) => {}
                Ok(Some((now_held, heir_of))) => {
                    self.live.clear_alarm("store");
                    prolong_at = mono.saturating_add(PROLONG_MS);
                    held = now_held;
                    self.shares.hold(held.iter().map(Lease::fence));
                    if !self.note_lead(&held, heir_of, mono, &lead) {
                        tracing::error!("Another server has taken over this store: ending");
                        self.deposed.store(true, Ordering::SeqCst);
                        end.cancel();
                        break;
                    }
                }
                Err(error) => self.complain(&error),
            }
        }
        for lease in &held {
            let _ = self.store.release_lease(lease).await;
        }
    }

    /// Looks at all leases and takes, prolongs and gives back what is due; returns what is held
    /// now and who led before, or `None` when there was nothing to do.
    async fn look(
        &mut self,
        held: &[Lease],
        due: bool,
    ) -> Result<Option<(Vec<Lease>, Option<String>)>, StoreError> {
        let now = self.clock.now();
        let until = now.plus(LEASE_MS);
        let roll = match self.member {
            Some(_) => self.store.leases().await?,
            None => Vec::new(),
        };
        let leads = roll.iter().find(|lease| lease.name == LeaseName::Publisher);
        self.watch_leader(leads.filter(|lease| lease.holder != self.holder));
        let mine: BTreeSet<LeaseName> = held.iter().map(|lease| lease.name).collect();
        let wanted = wanted(&roll, self.member, &self.holder, now, until);
        for lease in held.iter().filter(|lease| !wanted.contains(&lease.name)) {
            // The other one may take it from here on; a round under way is still allowed.
            self.store.release_lease(lease).await?;
        }
        if !due && wanted == mine {
            return Ok(None);
        }
        let names: Vec<LeaseName> = wanted.into_iter().collect();
        let taken = self.store.take_leases(&names, &self.holder, now, until).await?;
        let before = roll.into_iter().find(|lease| lease.name == LeaseName::Publisher);
        let number = taken.iter().find(|lease| lease.name == LeaseName::Publisher);
        // Only when nobody else came between looking and taking.
        let heir_of = before
            .filter(|before| number.is_some_and(|taken| taken.number == before.number + 1))
            .map(|before| before.holder)
            .filter(|holder| {
                self.leader.as_ref().is_some_and(|seen| seen.alive && seen.holder == *holder)
            });
        Ok(Some((taken, heir_of)))
    }

    fn watch_leader(&mut self, lease: Option<&Lease>) {
        let Some(Lease { holder, until_ms, .. }) = lease else { return };
        match &mut self.leader {
            Some(seen) if seen.holder == *holder => {
                // Given back, its end is 0.
                seen.alive |= *until_ms > seen.until_ms;
                seen.until_ms = *until_ms;
            }
            _ => {
                let (holder, until_ms) = (holder.clone(), *until_ms);
                self.leader = Some(Leader { holder, until_ms, alive: false });
            }
        }
    }

    /// Says whether we lead; false when we did and another does now.
    fn note_lead(
        &self,
        held: &[Lease],
        heir_of: Option<String>,
        mono: i64,
        lead: &watch::Sender<Option<Lead>>,
    ) -> bool {
        let of = |name| held.iter().find(|lease| lease.name == name).map(Lease::fence);
        let log = of(LeaseName::Sequencer);
        let fence = of(LeaseName::Compiler).filter(|_| of(LeaseName::Publisher).is_some());
        let fence = fence.zip(log);
        let led = lead.borrow().as_ref().map(|lead| (lead.fence, lead.log));
        match (led, fence) {
            (Some(before), now) if now != Some(before) => return false,
            (Some(_), _) => {}
            (None, None) => {
                let standing_by = Alarm {
                    code: "standing-by",
                    vi: "Máy chủ này dự phòng: máy chủ khác đang phát hành lịch".to_owned(),
                    en: "This server stands by: another one publishes the schedule".to_owned(),
                };
                let known = self.live.picture().notices.contains(&standing_by);
                if !known {
                    tracing::info!("Standing by: another server publishes from this store");
                    self.live.change(|picture| picture.notices.push(standing_by));
                }
                return true;
            }
            (None, Some((fence, log))) => {
                tracing::info!(number = fence.number, "This server leads");
                self.live.change(|picture| {
                    picture.notices.retain(|notice| notice.code != "standing-by");
                });
                // Whoever waits for the lead may publish at once.
                self.tenure.extend(mono.saturating_add(LEASE_MS));
                lead.send_replace(Some(Lead { fence, log, heir_of }));
            }
        }
        // Counted from before the lease was asked for, so never longer than the store's.
        self.tenure.extend(mono.saturating_add(LEASE_MS));
        true
    }

    fn complain(&self, error: &StoreError) {
        let why = super::chain(error);
        tracing::error!(error = why, hint = error.hint(), "The store takes no writes");
        self.live.set_alarm(Alarm {
            code: "store",
            vi: format!("Kho dữ liệu không ghi được: {why}"),
            en: format!("The store takes no writes: {why}; {}", error.hint()),
        });
    }
}

/// Returns what this process should hold: its even share of the devices, the lead if nobody else
/// has it, and the lease that says it is there. Pure.
fn wanted(
    roll: &[Lease],
    member: Option<LeaseName>,
    holder: &str,
    now: UtcMs,
    until: UtcMs,
) -> BTreeSet<LeaseName> {
    let Some(me) = member else {
        return LeaseName::all().collect();
    };
    let others: BTreeMap<LeaseName, &Lease> = roll
        .iter()
        .filter(|lease| lease.holder != holder && !lease.is_free(now, until))
        .map(|lease| (lease.name, lease))
        .collect();
    let mut members: BTreeSet<LeaseName> =
        others.keys().filter(|name| matches!(name, LeaseName::Member(_))).copied().collect();
    members.insert(me);
    let place = members.iter().position(|name| *name == me).unwrap_or(0);
    let shares = (0..SHARES).filter(|share| usize::from(*share) % members.len() == place);
    let mut wanted: BTreeSet<LeaseName> = shares.map(LeaseName::Ingest).collect();
    wanted.insert(me);
    // All or none: whoever compiles publishes and logs.
    let lead = [LeaseName::Compiler, LeaseName::Publisher, LeaseName::Sequencer];
    if lead.iter().all(|name| !others.contains_key(name)) {
        wanted.extend(lead);
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::live::Picture;
    use crate::clock::ManualClock;
    use crate::store::memory::MemoryStore;

    struct Process {
        duty: Duty,
        held: Vec<Lease>,
    }

    fn process(store: &Arc<MemoryStore>, clock: &Arc<ManualClock>, id: u64) -> Process {
        let duty = Duty {
            store: store.clone(),
            clock: clock.clone(),
            live: Arc::new(Live::new(Picture::empty("x"))),
            shares: Shares::default(),
            tenure: Tenure::default(),
            holder: format!("p{id}"),
            member: Some(LeaseName::Member(id)),
            deposed: Arc::default(),
            leader: None,
        };
        Process { duty, held: Vec::new() }
    }

    impl Process {
        async fn look(&mut self) -> Option<String> {
            let looked = self.duty.look(&self.held, true).await.unwrap();
            let (held, heir_of) = looked.unwrap();
            self.held = held;
            heir_of
        }

        fn shares(&self) -> BTreeSet<LeaseName> {
            let share = |name: &LeaseName| matches!(name, LeaseName::Ingest(_));
            self.held.iter().map(|lease| lease.name).filter(share).collect()
        }

        fn leads(&self) -> bool {
            self.held.iter().any(|lease| lease.name == LeaseName::Publisher)
        }
    }

    #[tokio::test]
    async fn the_shares_are_even_one_leads_and_the_other_takes_over_when_it_dies() {
        let store = Arc::new(MemoryStore::default());
        let clock = Arc::new(ManualClock::new(UtcMs(1_000_000)));
        let (mut a, mut b) = (process(&store, &clock, 1), process(&store, &clock, 2));
        a.look().await;
        assert_eq!((a.shares().len(), a.leads()), (16, true));
        b.look().await;
        assert_eq!((b.shares().len(), b.leads()), (0, false), "all are taken so far");
        clock.pass(1_000);
        a.look().await;
        b.look().await;
        assert_eq!((a.shares().len(), b.shares().len()), (8, 8));
        assert!(a.shares().is_disjoint(&b.shares()) && a.leads() && !b.leads());
        let stale = a.held.iter().find(|lease| lease.name == LeaseName::Ingest(0)).unwrap();

        // The first one dies; nothing happens before its leases end.
        clock.pass(LEASE_MS - 1);
        b.look().await;
        assert_eq!((b.shares().len(), b.leads()), (8, false));
        clock.pass(1);
        assert_eq!(b.look().await.as_deref(), Some("p1"), "it knows whose work it goes on with");
        assert_eq!((b.shares().len(), b.leads()), (16, true));
        // And comes back, believing that it still holds what it held.
        let work = crate::app::ports::IntakeRound::default();
        let fences = [stale.fence()];
        let refused = crate::app::ports::Evidence::commit_intake(&*store, &work, &fences);
        assert!(matches!(refused.await, Err(StoreError::Fenced { .. })));
        let lead = watch::Sender::new(Some(Lead {
            log: Fence { name: LeaseName::Sequencer, number: 1 },
            fence: Fence { name: LeaseName::Compiler, number: 1 },
            heir_of: None,
        }));
        a.look().await;
        assert!(!a.duty.note_lead(&a.held, None, 0, &lead), "a leader that was replaced ends");
    }

    #[tokio::test]
    async fn whoever_comes_after_a_dead_one_does_not_go_on_with_its_work() {
        let store = Arc::new(MemoryStore::default());
        let clock = Arc::new(ManualClock::new(UtcMs(1_000_000)));
        process(&store, &clock, 1).look().await;
        let mut b = process(&store, &clock, 2);
        clock.pass(1_000);
        b.look().await;
        clock.pass(LEASE_MS);
        assert_eq!((b.look().await, b.leads()), (None, true), "it begins, so it says everything");
    }

    #[tokio::test]
    async fn a_leader_believes_in_its_lease_no_longer_than_the_store_does() {
        let store = Arc::new(MemoryStore::default());
        let clock = Arc::new(ManualClock::new(UtcMs(1_000_000)));
        let mut a = process(&store, &clock, 1);
        a.look().await;
        let lead = watch::Sender::new(None);
        assert!(a.duty.note_lead(&a.held, None, 500, &lead));
        let tenure = &a.duty.tenure;
        assert!(tenure.lasts(500 + LEASE_MS - 1) && !tenure.lasts(500 + LEASE_MS));
    }
}
