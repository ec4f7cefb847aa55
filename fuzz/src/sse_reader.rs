//! A reader of event streams, line by line as WHATWG HTML section 9.2.6 words it, to hold the writer
//! against. It shares no code with the library, and is slow and plain on purpose.

/// What a browser hands to its listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The event type; `message` if the stream named none.
    pub kind: String,
    /// The data, its lines joined by LF.
    pub data: String,
    /// `lastEventId`.
    pub last_id: String,
}

/// What a browser knows after a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// All that was dispatched.
    pub messages: Vec<Message>,
    /// What it would send as `Last-Event-ID`.
    pub last_id: String,
    /// The last reconnection time, in milliseconds.
    pub retry: Option<u64>,
}

/// Reads a whole stream. A block that the end cuts off is thrown away, with its id.
pub fn read(stream: &[u8]) -> Stream {
    let text = String::from_utf8_lossy(stream);
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut seen = Stream::default();
    let (mut id, mut kind, mut data) = (String::new(), String::new(), String::new());
    while let Some(end) = rest.find(['\r', '\n']) {
        let (line, tail) = rest.split_at(end);
        rest = tail.strip_prefix("\r\n").unwrap_or(&tail[1..]);
        if line.is_empty() {
            seen.last_id.clone_from(&id);
            if !data.is_empty() {
                data.pop();
                let kind = if kind.is_empty() {
                    "message".to_owned()
                } else {
                    kind.clone()
                };
                let last_id = seen.last_id.clone();
                seen.messages.push(Message {
                    kind,
                    data: std::mem::take(&mut data),
                    last_id,
                });
            }
            kind.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => kind = value.to_owned(),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if value.bytes().all(|b| b.is_ascii_digit()) => {
                seen.retry = value.parse().ok().or(seen.retry);
            }
            _ => {}
        }
    }
    seen
}

/// `text` as it comes back through data lines: CR and CRLF are LF.
pub fn lines_of(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
