//! Asks the witnesses about one head: blocking, all at once, each bounded.
//!
//! # Why a witness that is ahead is doubted first
//! Heads are public, and anybody may send the newest one to a witness while it is asked about the
//! one before. A log that was set back does not reach what the witness knows; one that goes on
//! does with its next head. So only what stays for [`DOUBT_MS`] calls a person.

use super::{ASK, Rule};
use crate::cmds::server::agent;
use crate::log::collect::{Ask, Collection, Talk, Trouble};
use crate::log::disk::RealDisk;
use crate::log::folder::Folder;
use crate::log::prove::Prover;
use crate::wire::tlog::{NOTE_BYTES, SignedCheckpoint, Standing};
use std::collections::BTreeMap;
use std::path::Path;

/// First and longest time for which a silent witness is left alone, in milliseconds.
const REST_MS: i64 = 10_000;
const LONGEST_MS: i64 = 300_000;
/// How long a witness may know more than it is asked about before a person is called.
const DOUBT_MS: i64 = 10_000;

/// The witnesses as they are known so far.
pub struct Witnesses {
    rule: Rule,
    agents: BTreeMap<usize, ureq::Agent>,
    /// Which size of which log each is believed to know.
    sizes: BTreeMap<(String, usize), u64>,
    /// Until when a silent one is left alone, and for how long the next time.
    resting: BTreeMap<usize, (i64, i64)>,
    /// Who is in doubt.
    ahead: Ahead,
}

/// What came of asking.
pub struct Gathered {
    /// The head with the cosignatures that it has.
    pub head: SignedCheckpoint,
    /// Name of its shard.
    pub shard: String,
    /// They are as many as the station asks for.
    pub enough: bool,
    /// There is at least one.
    pub witnessed: bool,
    /// When there were enough, by their own clocks.
    pub met_s: Option<u64>,
    /// Who did not cosign, and why.
    pub troubles: Vec<(String, Trouble)>,
}

/// Returns the name of a head's shard.
pub fn shard_of(head: &SignedCheckpoint) -> String {
    let origin = head.checkpoint().origin.as_str();
    origin.rsplit('/').next().unwrap_or_default().to_owned()
}

impl Witnesses {
    /// Knows nothing of them yet.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            agents: BTreeMap::new(),
            sizes: BTreeMap::new(),
            resting: BTreeMap::new(),
            ahead: BTreeMap::new(),
        }
    }

    /// Asks all who do not rest about a head of a log in `folder`.
    pub fn gather(
        &mut self,
        folder: &Path,
        head: &SignedCheckpoint,
        now_s: u64,
        mono_ms: i64,
    ) -> Gathered {
        let tree = head.checkpoint().clone();
        let origin = tree.origin.to_string();
        let shard = shard_of(head);
        let size = |at: usize| self.sizes.get(&(origin.clone(), at)).copied().unwrap_or(0);
        let mut gathered = Gathered {
            head: head.clone(),
            shard: shard.clone(),
            enough: false,
            witnessed: false,
            met_s: None,
            troubles: Vec::new(),
        };
        let mut collection = match Collection::new(head, &self.rule.policy, size) {
            Ok(collection) => collection,
            Err(error) => {
                tracing::error!(%error, "The head is not signed by the log's own key");
                return gathered;
            }
        };
        let files = Folder::new(RealDisk, folder.join(&shard));
        let prover = Prover::new(&files, tree.size, tree.root);
        let mut silent: Vec<usize> = Vec::new();
        loop {
            let rests =
                |at: &usize| self.resting.get(at).is_some_and(|(until, _)| mono_ms < *until);
            let asks: Vec<Ask> = collection
                .asks()
                .into_iter()
                .filter(|ask| !silent.contains(&ask.witness) && !rests(&ask.witness))
                .collect();
            let mut bodies = Vec::new();
            for ask in asks {
                match prover.consistency(ask.old) {
                    Ok((_, proof)) => bodies.push((ask, collection.body(ask, proof))),
                    Err(error) => {
                        tracing::error!(%error, hint = error.hint(), "Growth cannot be proven");
                        silent.push(ask.witness);
                    }
                }
            }
            if bodies.is_empty() {
                break;
            }
            for (ask, answer) in self.ask(bodies) {
                if let Some((status, body)) = answer {
                    self.resting.remove(&ask.witness);
                    collection.answer(&self.rule.policy, ask, status, &body, now_s);
                    // Busy: it is asked about the next head.
                    if status == 429 || status >= 500 {
                        silent.push(ask.witness);
                    }
                } else {
                    let (_, rest) = self.resting.get(&ask.witness).copied().unwrap_or((0, REST_MS));
                    let next = rest.saturating_mul(2).min(LONGEST_MS);
                    self.resting.insert(ask.witness, (mono_ms.saturating_add(rest), next));
                    collection.silent(ask);
                    silent.push(ask.witness);
                }
            }
        }
        let witnesses = self.rule.policy.witnesses().iter();
        for ((at, talk), witness) in collection.talks().enumerate().zip(witnesses) {
            let name = witness.url().unwrap_or_default().to_owned();
            match talk {
                Talk::Cosigned { .. } => {
                    gathered.witnessed = true;
                    self.sizes.insert((origin.clone(), at), tree.size);
                }
                Talk::Open { old } => {
                    self.sizes.insert((origin.clone(), at), *old);
                    gathered.troubles.push((name, Trouble::Silent));
                }
                Talk::Over { why: Trouble::Ahead { known, ours } } => {
                    let (known, ours) = (*known, *ours);
                    let of = (origin.clone(), at);
                    let trouble = doubt(&mut self.ahead, of, (known, ours), mono_ms);
                    gathered.troubles.push((name, trouble));
                    continue;
                }
                Talk::Over { why } => gathered.troubles.push((name, why.clone())),
            }
            self.ahead.remove(&(origin.clone(), at));
        }
        self.ahead.retain(|(of, _), _| *of == origin);
        self.sizes.retain(|(of, _), _| *of == origin);
        let standing = collection.standing(&self.rule.policy);
        gathered.enough = standing.is_enough();
        if let Standing::Met { time_s } = standing {
            gathered.met_s = Some(time_s);
        }
        gathered.head = collection.checkpoint();
        gathered
    }

    /// Asks all at the same time; `None` is no answer.
    fn ask(&mut self, bodies: Vec<(Ask, String)>) -> Vec<(Ask, Option<Said>)> {
        let mut posts = Vec::new();
        for (ask, body) in bodies {
            let url = self.rule.policy.witnesses().get(ask.witness).and_then(|w| w.url());
            let url = url.unwrap_or_default().trim_end_matches('/').to_owned();
            let agent = self.agent(ask.witness, &url);
            posts.push((ask, agent, format!("{url}/add-checkpoint"), body));
        }
        std::thread::scope(|scope| {
            let running: Vec<_> = posts
                .into_iter()
                .map(|(ask, agent, url, body)| {
                    (ask, scope.spawn(move || post(&agent?, &url, &body)))
                })
                .collect();
            running.into_iter().map(|(ask, post)| (ask, post.join().ok().flatten())).collect()
        })
    }

    fn agent(&mut self, witness: usize, url: &str) -> Option<ureq::Agent> {
        if let Some(agent) = self.agents.get(&witness) {
            return Some(agent.clone());
        }
        match agent(ASK, url.starts_with("https://"), self.rule.ca.as_deref()) {
            Ok(agent) => {
                self.agents.insert(witness, agent.clone());
                Some(agent)
            }
            Err(error) => {
                tracing::error!("No line to the witness `{url}`: {error:#}");
                None
            }
        }
    }
}

/// What witnesses said they know of a log beyond the head they were asked about, and since when.
type Ahead = BTreeMap<(String, usize), (u64, i64)>;

/// Judges a witness that knows more than it was asked about.
fn doubt(
    ahead: &mut Ahead,
    of: (String, usize),
    (known, ours): (u64, u64),
    mono_ms: i64,
) -> Trouble {
    let before = ahead.get(&of).copied();
    // What it knew then is reached: it is another newer head now, and the doubt begins anew.
    let (was, since) = before.filter(|(was, _)| *was > ours).unwrap_or((known, mono_ms));
    ahead.insert(of, (was, since));
    if mono_ms.saturating_sub(since) < DOUBT_MS {
        Trouble::Newer { known, ours }
    } else {
        Trouble::Ahead { known, ours }
    }
}

/// Status and body of an answer.
type Said = (u16, Vec<u8>);

fn post(agent: &ureq::Agent, url: &str, body: &str) -> Option<Said> {
    let mut answer = match agent.post(url).content_type("text/plain").send(body) {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(url, %error, "A witness does not answer");
            return None;
        }
    };
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(NOTE_BYTES as u64).read_to_vec();
    body.ok().map(|body| (status, body))
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
