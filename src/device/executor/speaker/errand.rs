//! The tone by which a loudspeaker answers `self-test` and `identify`.

use super::{PlayOrder, Speaker};
use crate::device::executor::world::Errand;
use crate::device::executor::{Action, LEAD_MS, Moment, TONE_MS, World, tone};
use crate::domain::ids::Digest;

/// An errand under way.
#[derive(Debug)]
pub(super) struct Trial {
    pub token: u64,
    pub errand: Errand,
    pub since_mono: i64,
    pub cut: bool,
}

impl Speaker {
    /// Sounds the tone, where sound is allowed and no cue needs the output.
    pub fn errand(
        &mut self,
        world: &mut World,
        now: Moment,
        errand: Errand,
        out: &mut Vec<Action>,
    ) -> Result<(), &'static str> {
        let at = now.utc.plus(300);
        let end = at.plus(TONE_MS);
        if world.held(now).is_some() {
            return Err("refused: hold");
        }
        if world.sound_until(at).is_none_or(|until| until < end) {
            return Err("refused: quiet");
        }
        let soon = world.book.due(now.utc, LEAD_MS + TONE_MS + 1_000);
        if !self.is_idle() || !soon.is_empty() || world.stopping {
            return Err("refused: busy");
        }
        let token = world.token();
        let volume = 60.min(world.book.volume_cap());
        out.push(Action::Play(PlayOrder {
            token,
            asset: Digest::of(&tone()),
            at,
            offset_ms: 0,
            clip_ms: TONE_MS,
            end,
            gain_cb: 0,
            volume,
            fade_ms: 0,
        }));
        self.errand = Some(Trial { token, errand, since_mono: now.mono_ms, cut: false });
        Ok(())
    }

    /// Ends the tone early: a notice or a hold wants silence.
    pub(super) fn cut_errand(&mut self, out: &mut Vec<Action>) {
        if let Some(trial) = self.errand.as_mut().filter(|trial| !trial.cut) {
            trial.cut = true;
            out.push(Action::Halt { token: trial.token, fade_ms: 0 });
        }
    }

    pub(super) fn end_errand(&mut self, played_ms: i64, out: &mut Vec<Action>) {
        let Some(Trial { errand, .. }) = self.errand.take() else { return };
        let permille = (played_ms.max(0).saturating_mul(1000) / TONE_MS).min(1000);
        errand.end(permille, self.method, out);
    }
}
