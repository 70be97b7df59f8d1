//! The partner's cloud of the simulated world: a token endpoint, and a lamp that takes a moment to do what it is told.
//! Pure but for the clock; what goes wrong with it is in `faults`.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// From a command to its effect.
const EFFECT: Duration = Duration::from_millis(350);
/// The only token that there is.
const TOKEN: &str = "demo-token";

/// A lamp, as one region's customer has it.
#[derive(Debug, Default)]
pub(super) struct Lamp(Mutex<Option<(Instant, bool)>>);

impl Lamp {
    fn tell(&self, on: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), on));
    }

    fn is_on(&self) -> bool {
        let told = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.is_some_and(|(at, on)| on == (at.elapsed() >= EFFECT))
    }
}

/// What the token endpoint answers.
pub(super) fn token() -> (u16, String) {
    (200, format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":60}}"#))
}

/// What the devices' API answers to a request.
pub(super) fn devices(lamp: &Lamp, method: &str, path: &str, authorization: &str) -> (u16, String) {
    if authorization != format!("Bearer {TOKEN}") {
        return (401, r#"{"error":"who are you?"}"#.to_owned());
    }
    match (method, path) {
        ("GET", "/devices") => (200, r#"{"devices":[{"id":"lamp-1"}]}"#.to_owned()),
        ("POST", "/devices/lamp-1/on" | "/devices/lamp-1/off") => {
            lamp.tell(path.ends_with("on"));
            (202, r#"{"queued":true}"#.to_owned())
        }
        ("GET", "/devices/lamp-1") => (200, format!(r#"{{"light":"{}"}}"#, if lamp.is_on() { "on" } else { "off" })),
        _ => (404, r#"{"error":"no such thing"}"#.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lamp_takes_a_moment_and_strangers_are_not_let_in() {
        let lamp = Lamp::default();
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(devices(&lamp, "GET", "/devices", "").0, 401);
        assert_eq!(devices(&lamp, "POST", "/devices/lamp-1/on", &bearer).0, 202);
        assert!(devices(&lamp, "GET", "/devices/lamp-1", &bearer).1.contains("off"));
        std::thread::sleep(EFFECT + Duration::from_millis(20));
        assert!(devices(&lamp, "GET", "/devices/lamp-1", &bearer).1.contains("on"));
    }
}
