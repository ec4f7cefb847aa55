//! SSE frames: a browser reads back what was published, and nothing else, wherever the stream is cut.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqbus_core::wire::{self, Form};
use reqbus_core::{Event, NewEvent};

use super::recipe::Recipe;
use super::sse_reader::{Message, lines_of, read};

/// What a browser knows once it has read the stream up to `end`.
struct Block {
    end: usize,
    messages: usize,
    last_id: String,
}

/// Writes a stream of events and control items that `data` describes, and reads it back.
pub fn sse_writer(data: &[u8]) {
    let mut recipe = Recipe::new(data);
    let cut = recipe.number();
    let mut stream = Vec::new();
    let mut want = Vec::new();
    let mut blocks = Vec::new();
    let mut last_id = String::new();
    let mut retry = None;
    for _ in 0..8 {
        if recipe.is_empty() {
            break;
        }
        let form = Form::Sse;
        match recipe.byte() % 8 {
            0 => {
                let (missed, reason, next_n) = (recipe.number(), recipe.text(), recipe.number());
                wire::lost(&mut stream, form, missed, &reason, next_n);
                let reason = serde_json::Value::from(reason);
                let data =
                    format!("{{\"missed\":{missed},\"reason\":{reason},\"next_n\":{next_n}}}");
                want.push(Message {
                    kind: "reqbus.lost".into(),
                    data,
                    last_id: last_id.clone(),
                });
            }
            1 => {
                let (head, reason) = (recipe.id(), recipe.text());
                wire::resync(&mut stream, form, &reason, head);
                last_id = head.to_string();
                let reason = serde_json::Value::from(reason);
                let data = format!("{{\"reason\":{reason},\"head\":\"{head}\"}}");
                want.push(Message {
                    kind: "reqbus.resync".into(),
                    data,
                    last_id: last_id.clone(),
                });
            }
            2 => {
                let said = [recipe.text(), recipe.text(), recipe.text()];
                wire::status(&mut stream, form, &said[0], &said[1], &said[2]);
                let [source, state, detail] = said.map(serde_json::Value::from);
                let data = format!("{{\"source\":{source},\"state\":{state},\"detail\":{detail}}}");
                want.push(Message {
                    kind: "reqbus.status".into(),
                    data,
                    last_id: last_id.clone(),
                });
            }
            3 => {
                let settled = recipe.id();
                wire::heartbeat(&mut stream, form, settled);
                last_id = settled.to_string();
            }
            4 => {
                let ms = recipe.number();
                wire::retry(&mut stream, form, ms);
                retry = Some(ms);
            }
            sort => {
                let (id, kind, key) = (recipe.id(), recipe.kind(), recipe.key());
                let (text, bytes) = (recipe.text(), recipe.bytes());
                let mut json = String::new();
                let (new, data) = match sort {
                    5 => (NewEvent::text(&kind, &text), lines_of(&text)),
                    6 => (NewEvent::bytes(&kind, bytes), STANDARD.encode(bytes)),
                    _ => {
                        recipe.json(&mut json, 3);
                        (NewEvent::json(&kind, &json), String::new())
                    }
                };
                let event = Event::detached(&new.key(&key), id).expect("nothing to refuse");
                stream.extend_from_slice(wire::text(&event, form, |_| {}));
                let data = if sort == 7 {
                    // Its content is json_writer's affair; here it must come through whole.
                    String::from_utf8(wire::text(&event, Form::Json, |_| {}).to_vec())
                        .expect("UTF-8")
                } else {
                    data
                };
                last_id = id.to_string();
                want.push(Message {
                    kind,
                    data,
                    last_id: last_id.clone(),
                });
            }
        }
        blocks.push(Block {
            end: stream.len(),
            messages: want.len(),
            last_id: last_id.clone(),
        });
    }

    let seen = read(&stream);
    assert_eq!(seen.messages, want);
    assert_eq!(seen.last_id, last_id);
    assert_eq!(seen.retry, retry);

    // Cut anywhere, as a lost connection cuts it: whole blocks count, and of the last one nothing.
    let at = usize::try_from(cut % (stream.len() as u64 + 1)).expect("a length");
    let part = read(&stream[..at]);
    let whole = blocks.iter().rev().find(|block| block.end <= at);
    let (messages, last_id) = whole.map_or((0, ""), |block| (block.messages, &block.last_id));
    assert_eq!(part.messages, want[..messages], "cut at {at}");
    assert_eq!(part.last_id, last_id, "cut at {at}");
}
