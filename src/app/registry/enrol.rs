//! Enrolment: a device proves that it knows a code, and gets what it needs.

use super::{EnrolError, Register, code_row, lineage};
use crate::app::ports::{Enrolled, Enrolment, EnrolmentCode, RetainedDocument, Standing};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::time::UtcMs;
use crate::wire::doc::{self, Floor};
use crate::wire::enrol::{Answer, Request, Secret, Welcome};
use crate::wire::topic::Topic;
use crate::wire::{jws, version};
use std::sync::Arc;

impl Register {
    /// Enrols the device that asks, and returns the answer's bytes.
    pub async fn enrol(&self, text: &str) -> Result<Vec<u8>, EnrolError> {
        let request = Request::open(text).map_err(EnrolError::Request)?;
        let id = code_row(&request.claims.code);
        let code = self.store.code(&id).await?.ok_or(EnrolError::Unknown)?;
        let now = self.clock.now();
        let outcome = match judge(&code, &request.claims, now) {
            Ok(()) => self.admit(&code, &request, now).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(answer) => {
                tracing::info!(device.id = %code.device, key.kid = %request.kid, "Enrolled a device");
                self.touch();
                Ok(answer)
            }
            Err(error) => {
                tracing::warn!(device.id = %code.device, code = error.code(), "Refused an enrolment");
                self.store.refuse_code(&id, error.code()).await?;
                Err(error)
            }
        }
    }

    async fn admit(
        &self,
        code: &EnrolmentCode,
        request: &jws::Opened<Request>,
        now: UtcMs,
    ) -> Result<Vec<u8>, EnrolError> {
        let password = self.seed.of_device(&code.device, &request.kid.to_string());
        let registered = self.store.device(&code.device).await?.ok_or(EnrolError::Gone)?;
        if registered.device.behind.is_some() {
            // It was put behind a gateway after the code was issued.
            return Err(EnrolError::Behind);
        }
        if let Standing::Revoked { at_ms, .. } = &registered.standing
            && code.made_ms < *at_ms
        {
            // Whoever took the device may have taken the code with it.
            return Err(EnrolError::Expired { at_ms: *at_ms });
        }
        let units = lineage(&registered.device.unit, &self.store.units().await?);
        let reach = self.reach();
        let topic = reach.topics.of(&Topic::Floor(code.device.clone()));
        let floor = self.floor(&code.device, &topic, reach.offset_min, now).await?;
        // Before the code is used up: what cannot be answered must not have enrolled.
        let welcome = Welcome {
            v: 1,
            iss: doc::issuer(&reach.name),
            iat: now.numeric_date(),
            request: request.digest,
            id: code.device.clone(),
            broker: reach.broker.clone(),
            ca: reach.broker_ca.clone(),
            prefix: reach.topics.to_string(),
            user: code.device.to_string(),
            password: password.clone(),
            units,
            http: Some(reach.url.clone()),
        };
        let trust = self.keys.in_use();
        let answer = Answer::new(&trust.keys.policy, trust.chain.body(), floor, &welcome)
            .map_err(EnrolError::Unsigned)?
            .encode();
        let enrolment = Enrolment {
            code: code.id,
            device: code.device.clone(),
            kid: request.kid.to_string(),
            key: request.claims.key.to_bytes(),
            password: Digest::of(password.as_bytes()),
            at_ms: now,
        };
        match self.store.enrol(&enrolment).await? {
            Enrolled::Done => self.tell(&code.device).await?,
            Enrolled::UnknownCode => return Err(EnrolError::Unknown),
            Enrolled::UsedCode { by } => return Err(EnrolError::Used { by }),
            Enrolled::ExpiredCode { at_ms } => return Err(EnrolError::Expired { at_ms }),
            Enrolled::UnknownDevice => return Err(EnrolError::Gone),
            Enrolled::SpentKey => return Err(EnrolError::SpentKey),
        }
        if let Some(passwords) = &self.passwords
            && let Err(error) = passwords.put(code.device.as_str(), &password)
        {
            // The device is enrolled; a new code mends it once the file can be written.
            let path = passwords.path().display();
            tracing::error!(device.id = %code.device, %error, "Cannot write `{path}`");
        }
        Ok(answer)
    }

    /// Returns the floor in force for the device, made when it has none.
    async fn floor(
        &self,
        device: &DeviceId,
        topic: &str,
        offset_min: i32,
        now: UtcMs,
    ) -> Result<String, EnrolError> {
        if let Some(kept) = self.store.retained().await?.into_iter().find(|d| d.topic == topic) {
            return Ok(String::from_utf8_lossy(&kept.body).into_owned());
        }
        let ver = version::next(None, now);
        let floor = Floor::first(device.clone(), ver, now.numeric_date(), offset_min);
        let text =
            doc::sign(&self.keys.in_use().keys.policy, &floor).map_err(EnrolError::Unsigned)?;
        let body = Arc::from(text.as_bytes());
        let document = RetainedDocument { topic: topic.to_owned(), ver, made_ms: now, body };
        self.store.put_retained(&[document]).await?;
        Ok(text)
    }
}

fn judge(code: &EnrolmentCode, request: &Request, now: UtcMs) -> Result<(), EnrolError> {
    if let Some(by) = &code.used {
        return Err(EnrolError::Used { by: by.clone() });
    }
    if code.expires_ms <= now {
        return Err(EnrolError::Expired { at_ms: code.expires_ms });
    }
    let secret = std::str::from_utf8(&code.secret).ok().and_then(Secret::from_text);
    match secret {
        Some(secret) if request.proves(&secret) => Ok(()),
        _ => Err(EnrolError::Mismatch),
    }
}
