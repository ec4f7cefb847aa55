//! The events of all rows: finished requests, as a gateway tells them.

use std::sync::atomic::{AtomicU64, Ordering};

use reqbus_core::event::RequestStatus;
use reqbus_core::{Event, EventId, NewEvent, RequestEvent};

const REQUESTS: usize = 1024;

const TARGETS: [(&str, &str, &str); 8] = [
    ("POST", "/v1/messages", "claude-sonnet-4-5-20250929"),
    ("POST", "/v1/messages", "claude-opus-4-1-20250805"),
    ("POST", "/v1/messages/count_tokens", "claude-haiku-4-5"),
    ("POST", "/v1/chat/completions", "gpt-4o-mini-2024-07-18"),
    ("POST", "/v1/responses", "gpt-5-codex"),
    (
        "POST",
        "/v1beta/models/gemini-2.5-pro:streamGenerateContent",
        "gemini-2.5-pro",
    ),
    ("POST", "/v1/embeddings", "text-embedding-3-large"),
    ("GET", "/v1/models", ""),
];

/// Requests to be told again and again.
pub struct Requests {
    requests: Vec<RequestEvent<'static>>,
    /// The ids of a peer's events: any number of publishers may draw them, as on a bus.
    last_seq: AtomicU64,
}

impl Requests {
    /// Without keys.
    pub fn new() -> Self {
        let request = |at: usize| {
            let (method, path, model) = TARGETS[at % TARGETS.len()];
            let status = match at % 23 {
                0 => RequestStatus::Error,
                1 => RequestStatus::RateLimited,
                _ => RequestStatus::Success,
            };
            RequestEvent {
                method,
                path,
                model,
                account_id: 1 + (at as i64 * 7) % 40,
                status,
                latency_ms: 120 + (at as i64 * 7919) % 60_000,
                ..RequestEvent::default()
            }
        };
        Self {
            requests: (0..REQUESTS).map(request).collect(),
            last_seq: AtomicU64::new(0),
        }
    }

    /// Each with a key of its own: [`key`] of its number.
    pub fn keyed() -> Self {
        let mut requests = Self::new();
        for (at, request) in requests.requests.iter_mut().enumerate() {
            request.key = Box::leak(key(at).into_boxed_str());
        }
        requests
    }

    /// The request with this number; they begin again after 1,024.
    pub fn get(&self, at: u64) -> &RequestEvent<'static> {
        &self.requests[at as usize % REQUESTS]
    }

    /// The event of a request outside a bus: for peers.
    pub fn stamped(&self, at: u64) -> Event {
        let new = NewEvent::request(self.get(at)).expect("no extra object to be wrong");
        let id = EventId {
            epoch: 0x5eed,
            seq: self.last_seq.fetch_add(1, Ordering::Relaxed) + 1,
        };
        Event::detached(&new, id).expect("a valid request")
    }
}

/// The key of a user.
pub fn key(at: usize) -> String {
    format!("user-{at}")
}
