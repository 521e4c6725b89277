//! Foreign devices driven for real: over a real broker and real sockets, against simulators
//! written from the vendors' public documents, and against programs that others wrote.

mod families;
mod lies;
mod lines;
mod mopidy;
mod ola;
mod rig;
mod sims;
