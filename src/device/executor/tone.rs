//! The tone by which a loudspeaker tests and shows itself: the only sound that is no asset.

/// Its length in milliseconds.
pub const TONE_MS: i64 = 900;

const RATE_HZ: u32 = 16_000;

/// Returns it as a WAV file: three short rising notes, the same bytes everywhere.
pub fn tone() -> Vec<u8> {
    let part = RATE_HZ * 3 / 10;
    let frames = part * 3;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + frames * 2).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend([1, 0, 1, 0]);
    file.extend(RATE_HZ.to_le_bytes());
    file.extend((RATE_HZ * 2).to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend((frames * 2).to_le_bytes());
    for n in 0..frames {
        let half_wave = [20, 16, 13][(n / part) as usize]; // 400, 500, 615 Hz
        let place = i32::try_from(n % (2 * half_wave)).unwrap_or(0);
        let half = i32::try_from(half_wave).unwrap_or(1);
        // A triangle: no whole-number sine is the same on every machine.
        let level = if place < half { 2 * place - half } else { 3 * half - 2 * place };
        // Soft at both ends of each note, so that nothing clicks.
        let inside = i32::try_from((n % part).min(part - n % part).min(320)).unwrap_or(0);
        let sample = level * 9_000 / half * inside / 320;
        file.extend(i16::try_from(sample).unwrap_or(0).to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_is_as_long_as_it_says_and_not_silent() {
        let file = tone();
        let samples = i64::try_from((file.len() - 44) / 2).unwrap();
        assert_eq!(samples * 1000 / i64::from(RATE_HZ), TONE_MS);
        let loudest = file[44..].chunks(2).map(|b| i16::from_le_bytes([b[0], b[1]]).abs()).max();
        assert!((8_000..10_000).contains(&loudest.unwrap()), "{loudest:?}");
    }
}
