//! What handlers are handed: parts of one [`AppState`], each by itself.

use super::asset::Shelf;
use super::limit::Turnstile;
use super::log::LogFolder;
use crate::app::assets::Library;
use crate::app::draws::Drawing;
use crate::app::hold::Holds;
use crate::app::live::Live;
use crate::app::ports::Store;
use crate::app::previews::Previews;
use crate::app::registry::Register;
use crate::app::reports::Reports;
use crate::app::urgent::Notices;
use crate::clock::SharedClock;
use axum::extract::FromRef;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Everything the handlers need; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub store: Arc<dyn Store>,
    pub live: Arc<Live>,
    pub register: Arc<Register>,
    pub notices: Arc<Notices>,
    pub holds: Arc<Holds>,
    pub draws: Drawing,
    pub clock: SharedClock,
    pub shelf: Shelf,
    pub log: LogFolder,
    pub reports: Arc<Reports>,
    pub evidence: EvidenceFiles,
    pub site: Site,
    pub turnstile: Turnstile,
    pub previews: Previews,
    pub metrics: PrometheusHandle,
}

/// Where the files of evidence by hand lie.
#[derive(Clone)]
pub struct EvidenceFiles {
    pub library: Arc<dyn Library>,
    /// Files that may be on their way here at once: each takes its length of the disk meanwhile.
    pub turns: Arc<Semaphore>,
}

impl EvidenceFiles {
    /// Returns the files of a library.
    pub fn new(library: Arc<dyn Library>) -> Self {
        Self { library, turns: Arc::new(Semaphore::new(UPLOADS)) }
    }
}

/// Uploads of evidence at once.
const UPLOADS: usize = 4;

/// How this server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Whether it speaks TLS: then cookies are marked `Secure` and HSTS is sent.
    pub tls: bool,
}

macro_rules! part {
    ($field:ident: $type:ty) => {
        impl FromRef<AppState> for $type {
            fn from_ref(state: &AppState) -> Self {
                state.$field.clone()
            }
        }
    };
}

part!(store: Arc<dyn Store>);
part!(live: Arc<Live>);
part!(register: Arc<Register>);
part!(notices: Arc<Notices>);
part!(holds: Arc<Holds>);
part!(draws: Drawing);
part!(clock: SharedClock);
part!(shelf: Shelf);
part!(log: LogFolder);
part!(reports: Arc<Reports>);
part!(evidence: EvidenceFiles);
part!(site: Site);
part!(turnstile: Turnstile);
part!(previews: Previews);
part!(metrics: PrometheusHandle);
