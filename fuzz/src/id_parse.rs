//! Event ids: any bytes are refused or are the one spelling of an id.

use reqbus_core::EventId;

/// Reads `data` as an id, and as the numbers of one.
pub fn id_parse(data: &[u8]) {
    if let Ok(id) = EventId::parse(data) {
        assert_eq!(id.to_string().as_bytes(), data, "an id has one spelling");
        assert_ne!(id.seq, u64::MAX, "never given");
        assert!(data.len() <= 37);
    }
    if let Some((numbers, _)) = data.split_first_chunk::<16>() {
        let bits = u128::from_le_bytes(*numbers);
        let id = EventId {
            epoch: bits as u64,
            seq: (bits >> 64) as u64,
        };
        let mut text = b"before".to_vec();
        id.write_to(&mut text);
        let text = text.strip_prefix(b"before").expect("an id is appended");
        assert_eq!(id.to_string().as_bytes(), text);
        let read = EventId::parse(text);
        assert_eq!(read.ok(), (id.seq != u64::MAX).then_some(id));
    }
}
