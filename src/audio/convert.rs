//! Makes a clip of a file in a foreign codec, with ffmpeg where it is installed.
//!
//! The original stays untouched; the hashes of both are told, so that evidence can name the one
//! and an archive the other.

use super::inspect::{Converted, Inspection, Limits, measure};
use super::refusal::Refusal;
use crate::domain::chunk::AssetHasher;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a conversion goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    path: PathBuf,
    encoder: &'static [&'static str],
}

const MP3: &[&str] = &["-c:a", "libmp3lame", "-q:a", "4", "-f", "mp3"];

impl Target {
    /// Returns the place for one file: `out` itself, or a file of the same name in it when it is
    /// a folder or serves several files. An ending that is no format of ours becomes MP3.
    pub fn of(out: &Path, file: &Path, several: bool) -> Self {
        let ends_as_folder = out.as_os_str().to_string_lossy().ends_with('/');
        if several || out.is_dir() || ends_as_folder {
            let mut name = file.file_stem().unwrap_or_default().to_owned();
            name.push(".mp3");
            return Self { path: out.join(name), encoder: MP3 };
        }
        let ending = out.extension().map(|e| e.to_string_lossy().to_lowercase());
        let encoder: &[&str] = match ending.as_deref() {
            Some("m4a" | "mp4") => &["-c:a", "aac", "-b:a", "128k", "-f", "ipod"],
            Some("wav") => &["-c:a", "pcm_s16le", "-f", "wav"],
            Some("flac") => &["-c:a", "flac", "-f", "flac"],
            Some("ogg" | "oga") => &["-c:a", "libvorbis", "-q:a", "4", "-f", "ogg"],
            _ => MP3,
        };
        Self { path: out.to_path_buf(), encoder }
    }
}

/// Inspects a file and, if its codec is foreign, the clip that ffmpeg makes of it. The figures
/// are those of the clip, hash and codec those of the original.
pub fn inspect_or_convert(file: &Path, to: &Target, limits: &Limits) -> Inspection {
    let name = file.to_string_lossy().into_owned();
    let refusal = match measure(file, limits) {
        Ok((measured, mut warnings)) => {
            warnings.push(format!("needs no conversion; `{}` is not written", to.path.display()));
            return Inspection {
                file: name,
                ok: true,
                error: None,
                warnings,
                measured: Some(measured),
            };
        }
        Err(refusal) => refusal,
    };
    let Refusal::Codec { format, codec } = &refusal else {
        if !refusal.is_convertible() {
            return Inspection::refused(name, &refusal);
        }
        return made(name, file, to, limits, "", "", refusal.to_string());
    };
    made(name, file, to, limits, format, codec, refusal.to_string())
}

fn made(
    name: String,
    file: &Path,
    to: &Target,
    limits: &Limits,
    format: &str,
    codec: &str,
    why: String,
) -> Inspection {
    match convert(file, to, limits) {
        Ok((mut measured, converted, (sha256, bytes))) => {
            (measured.sha256, measured.bytes) = (sha256, bytes);
            if !codec.is_empty() {
                format.clone_into(&mut measured.format);
                codec.clone_into(&mut measured.codec);
            }
            measured.converted = Some(converted);
            let warnings = vec![format!("{why}; converted, the figures are those of the result")];
            Inspection { file: name, ok: true, error: None, warnings, measured: Some(measured) }
        }
        Err(refusal) => Inspection::refused(name, &refusal),
    }
}

type Made = (super::inspect::Measured, Converted, (crate::domain::ids::Digest, u64));

fn convert(file: &Path, to: &Target, limits: &Limits) -> Result<Made, Refusal> {
    let unreadable = |source| Refusal::Unreadable { path: file.to_path_buf(), source };
    let original = hash(file).map_err(unreadable)?;
    if let Some(folder) = to.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let refused = |source| Refusal::Unreadable { path: folder.to_path_buf(), source };
        std::fs::create_dir_all(folder).map_err(refused)?;
    }
    if to.path.canonicalize().ok().is_some_and(|path| file.canonicalize().ok() == Some(path)) {
        let reason = "the result would overwrite it".to_owned();
        return Err(Refusal::Conversion { path: file.to_path_buf(), reason });
    }
    // Written beside and renamed, so that a broken run leaves no half clip.
    let mut part = to.path.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let result = run(file, &part, to, limits).and_then(|()| {
        let (measured, _) = measure(&part, limits)?;
        std::fs::rename(&part, &to.path)
            .map_err(|source| Refusal::Unreadable { path: to.path.clone(), source })?;
        let converted =
            Converted { file: to.path.to_string_lossy().into_owned(), sha256: measured.sha256 };
        Ok((measured, converted, original))
    });
    if result.is_err() {
        let _ = std::fs::remove_file(&part); // nothing to add to the error if it is not there
    }
    result
}

fn run(file: &Path, part: &Path, to: &Target, limits: &Limits) -> Result<(), Refusal> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-i"])
        // A path that begins with a dash or names a protocol is a file all the same.
        .arg(prefixed(file))
        .args(["-map", "0:a:0", "-vn", "-af", "aformat=channel_layouts=mono|stereo", "-t"])
        .arg((limits.max_ms / 1000 + 1).to_string())
        .args(to.encoder)
        .arg(prefixed(part))
        .stdin(Stdio::null())
        .output();
    match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Refusal::NoConverter),
        Err(source) => Err(Refusal::Unreadable { path: file.to_path_buf(), source }),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let line = text.lines().rev().find(|line| !line.trim().is_empty());
            let reason = line.unwrap_or("no reason given").chars().take(200).collect();
            Err(Refusal::Conversion { path: file.to_path_buf(), reason })
        }
    }
}

fn prefixed(path: &Path) -> std::ffi::OsString {
    let mut text = std::ffi::OsString::from("file:");
    text.push(path);
    text
}

fn hash(path: &Path) -> std::io::Result<(crate::domain::ids::Digest, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = AssetHasher::new(&[]);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    let name = hasher.finish();
    Ok((name.sha256, name.bytes))
}
