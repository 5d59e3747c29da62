//! What happened, as a stream: a bounded memory of the past and a broadcast of the present.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::broadcast;

/// One thing that happened to one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `container`, `image`, `volume`, `network`, `daemon`.
    pub kind: &'static str,
    /// `create`, `start`, `die`, …, or `exec_create: CMD` as Docker writes it.
    pub action: String,
    /// The object's id or name.
    pub actor_id: String,
    /// Labels, name, image, exit code…
    pub attributes: BTreeMap<String, String>,
    /// Nanoseconds since the epoch.
    pub at_unix_nanos: i64,
}

/// How many events a late subscriber can look back on, as in Docker.
const MEMORY: usize = 256;
/// How far a slow subscriber may fall behind before it loses events.
const BACKLOG: usize = 1024;

/// The engine's events.
#[derive(Debug)]
pub struct Events {
    past: Mutex<VecDeque<Event>>,
    present: broadcast::Sender<Event>,
}

/// The past that was asked for, and what comes.
#[derive(Debug)]
pub struct Subscription {
    /// Events that had already happened.
    pub past: Vec<Event>,
    /// Events from now on.
    pub present: broadcast::Receiver<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            past: Mutex::new(VecDeque::new()),
            present: broadcast::channel(BACKLOG).0,
        }
    }
}

impl Events {
    /// Tells everyone.
    pub fn publish(&self, event: Event) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if past.len() == MEMORY {
            past.pop_front();
        }
        past.push_back(event.clone());
        // Sent under the lock, so that a subscriber sees each event once: in the past or in the present.
        let _ = self.present.send(event);
    }

    /// Joins the stream; `since_unix_nanos` asks for the remembered past from then on.
    pub fn subscribe(&self, since_unix_nanos: Option<i64>) -> Subscription {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        Subscription {
            past: since_unix_nanos.map_or_else(Vec::new, |since| {
                past.iter()
                    .filter(|e| e.at_unix_nanos >= since)
                    .cloned()
                    .collect()
            }),
            present: self.present.subscribe(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: i64) -> Event {
        Event {
            kind: "container",
            action: "start".into(),
            actor_id: "x".into(),
            attributes: BTreeMap::new(),
            at_unix_nanos: at,
        }
    }

    #[test]
    fn a_subscriber_sees_the_asked_past_once_and_then_the_present() {
        let events = Events::default();
        (0..300).for_each(|at| events.publish(event(at)));
        let mut late = events.subscribe(Some(298));
        events.publish(event(300));
        assert_eq!(
            late.past
                .iter()
                .map(|e| e.at_unix_nanos)
                .collect::<Vec<_>>(),
            [298, 299]
        );
        assert_eq!(late.present.try_recv().map(|e| e.at_unix_nanos), Ok(300));
    }

    #[test]
    fn the_memory_is_bounded() {
        let events = Events::default();
        (0..1000).for_each(|at| events.publish(event(at)));
        assert_eq!(events.subscribe(Some(0)).past.len(), MEMORY);
    }
}
