//! What the page shows, ready to be written: all instants already local, all names resolved.

/// Everything on the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageView {
    /// Name of the station.
    pub station: String,
    /// Local time of the server, `21/11/2026 17:04:05`.
    pub now: String,
    /// Zone and offset, `Asia/Ho_Chi_Minh (UTC+07:00)`.
    pub zone: String,
    /// Build of the server.
    pub build: String,
    /// Things a person should know although nothing failed.
    pub notices: Vec<String>,
    /// Things a person must act upon.
    pub alarms: Vec<String>,
    /// Urgent notices and drills in force, and the newest of those that are over.
    pub notices_sent: Vec<NoticeRow>,
    /// Units on hold.
    pub holds: Vec<HoldRow>,
    /// What waits for approval, the first of it.
    pub proposed: Vec<ProposalRow>,
    /// Proposals not listed.
    pub more_proposed: usize,
    /// What sounds or shows now.
    pub on_air: Vec<AirRow>,
    /// What comes next.
    pub next: Vec<AirRow>,
    /// Every device; a long fleet is cut, see `more_devices`.
    pub devices: Vec<DeviceRow>,
    /// Devices not listed.
    pub more_devices: usize,
    /// The newest records.
    pub records: Vec<RecordRow>,
    /// Faults of the station folder.
    pub faults: Vec<FaultRow>,
    /// How the evidence log stands, once it has a head.
    pub log: Option<LogRow>,
}

/// How the evidence log stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRow {
    pub size: u64,
    pub waiting: u64,
    /// When its newest head was signed.
    pub at: String,
    /// Leaves that witnesses last vouched for, and when.
    pub witnessed: Option<(u64, String)>,
    pub stamped: Stamped,
}

/// When an authority last stamped a head of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stamped {
    /// Nobody is asked.
    #[default]
    NotAsked,
    Never,
    At {
        at: String,
        size: u64,
        /// The name in the authority's certificate.
        by: String,
    },
}

/// A change that waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProposalRow {
    /// The first digits of its hash.
    pub hash: String,
    /// What changes, the first few names.
    pub files: String,
    /// How it stands, and what to type.
    pub standing: String,
    /// Units that whoever approves must answer for.
    pub units: String,
    /// What would change on air; near quiet hours first.
    pub changes: Vec<ChangeRow>,
    /// Changes not listed.
    pub more: usize,
}

/// What becomes of a cue by a proposal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeRow {
    /// What will happen, in words: `sẽ phát lúc 17:00`.
    pub what: String,
    pub title: String,
    /// Playlist and units.
    pub place: String,
    /// Sounds within an hour of quiet hours.
    pub near_quiet: bool,
}

/// A cue on one or more devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AirRow {
    /// `17:00:00 – 17:04:30`, with the date when it is not today.
    pub when: String,
    pub title: String,
    pub playlist: String,
    /// Names of devices, or the first few and how many more.
    pub devices: String,
    /// Whether it is shown on boards instead of heard.
    pub board: bool,
    /// Whether it is of priority.
    pub priority: bool,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    pub id: String,
    pub name: String,
    pub unit: String,
    pub state: DeviceLight,
    /// When it was last heard of, or nothing.
    pub seen: String,
    /// What hinders it: missing assets, clock, storage, faults.
    pub remarks: Vec<String>,
}

/// A device's state in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceLight {
    /// Registered, not enrolled.
    Awaiting,
    /// Enrolled, never heard of since.
    Silent,
    /// Connected and has what it needs.
    Ready,
    /// Connected, still fetches.
    Preparing,
    /// Asleep by its own word.
    Sleeping,
    /// Not connected.
    Lost,
    /// Its key is revoked.
    Revoked,
}

/// A record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordRow {
    pub at: String,
    pub device: String,
    pub kind: String,
    pub title: String,
    /// Word of the contract, empty for kinds without one.
    pub outcome: String,
    pub cause: String,
    pub grade: Option<u8>,
    /// When it was written cannot be enclosed tightly enough.
    pub late: bool,
}

/// A fault of the station folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultRow {
    /// `file:line:column`.
    pub place: String,
    pub message: String,
    pub hint: String,
    /// Whether it only warns.
    pub warning: bool,
    /// What counts instead of the file, in words; empty when the file itself counts.
    pub instead: String,
}

/// An urgent notice or drill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoticeRow {
    pub jti: String,
    /// Whether it is a rehearsal.
    pub drill: bool,
    /// Word of the API: `in-force`, `withdrawn` or `over`.
    pub state: String,
    pub sent: String,
    pub by: String,
    pub reason: String,
    /// Number and issuer.
    pub document: String,
    /// Names of units.
    pub units: String,
    pub devices: u32,
    /// Devices that sound it, show it, or have done so; of a drill: that would.
    pub begun: u32,
    pub refused: u32,
    pub not_reached: u32,
    /// Longest time from sending to the first sound.
    pub first_play_ms: Option<i64>,
}

/// A unit on hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldRow {
    pub unit: String,
    pub until: String,
    pub reason: String,
    pub by: String,
    pub confirmed: usize,
    pub devices: usize,
    /// Names of devices that have not confirmed, the first few.
    pub lacking: Vec<String>,
}
