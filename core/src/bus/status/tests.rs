use std::collections::BTreeMap;
use std::thread;

use proptest::prelude::*;

use super::*;

/// One look: what it told, as (source, state, detail).
fn look(view: &mut StatusView, board: &StatusBoard) -> Vec<(String, String, String)> {
    let mut told = Vec::new();
    let count = view.changed(board, |source, state, detail| {
        told.push((source.to_string(), state.to_string(), detail.to_string()));
    });
    assert_eq!(count, told.len());
    assert!(!view.is_behind(board));
    told
}

fn row(source: &str, state: &str, detail: &str) -> (String, String, String) {
    (source.to_owned(), state.to_owned(), detail.to_owned())
}

#[test]
fn b10_new_reader_first_gets_all_then_only_the_latest_of_what_changed() {
    let (board, mut view) = (StatusBoard::new(), StatusView::new());
    assert!(look(&mut view, &board).is_empty());
    assert!(board.set("a", "connecting", "").unwrap());
    assert!(board.set("b", "connected", "12 ms").unwrap());
    assert!(board.set("a", "connected", "").unwrap());
    let all = [row("b", "connected", "12 ms"), row("a", "connected", "")];
    assert_eq!(look(&mut view, &board), all, "in order of change");
    assert!(look(&mut view, &board).is_empty());
    for n in 0..1_000 {
        board.set("b", "retrying", &n.to_string()).unwrap();
    }
    assert_eq!(look(&mut view, &board), [row("b", "retrying", "999")]);
    assert_eq!(look(&mut StatusView::new(), &board).len(), 2);
}

#[test]
fn b10_the_same_again_changes_nothing() {
    let board = StatusBoard::new();
    assert_eq!(board.version(), 0);
    assert!(!board.set("a", "gone", "").unwrap(), "it was never there");
    assert!(board.set("a", "up", "x").unwrap());
    let version = board.version();
    assert!(!board.set("a", "up", "x").unwrap());
    assert_eq!(board.version(), version);
    assert!(board.set("a", "up", "y").unwrap(), "the detail counts");
    assert!(board.version() > version);
}

#[test]
fn b10_gone_is_told_once_and_only_to_those_who_knew() {
    let (board, mut knew, mut new) = (StatusBoard::new(), StatusView::new(), StatusView::new());
    board.set("a", "up", "").unwrap();
    look(&mut knew, &board);
    assert!(board.set("a", "gone", "for good").unwrap());
    // Another takes the room that it left.
    board.set("b", "up", "").unwrap();
    assert_eq!(
        look(&mut knew, &board),
        [row("a", "gone", ""), row("b", "up", "")]
    );
    assert!(look(&mut knew, &board).is_empty());
    assert_eq!(look(&mut new, &board), [row("b", "up", "")]);
    board.set("c", "up", "").unwrap();
    board.set("c", "gone", "").unwrap();
    assert!(knew.is_behind(&board));
    assert!(
        look(&mut knew, &board).is_empty(),
        "it came and went unseen"
    );
}

#[test]
fn b10_gone_and_back_between_two_looks_is_one_item() {
    let (board, mut view) = (StatusBoard::new(), StatusView::new());
    board.set("a", "up", "").unwrap();
    board.set("b", "up", "").unwrap();
    look(&mut view, &board);
    board.set("a", "gone", "").unwrap();
    board.set("a", "up", "").unwrap();
    assert_eq!(look(&mut view, &board), [row("a", "up", "")]);
}

#[test]
fn b10_the_65th_source_is_refused_by_the_limit_and_a_gone_one_makes_room() {
    let (board, mut view) = (StatusBoard::new(), StatusView::new());
    for n in 0..MAX_SOURCES {
        board.set(&n.to_string(), "up", "").unwrap();
    }
    let refused = board.set("64", "up", "").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooManySources);
    assert!(refused.message().contains("64"), "{refused}");
    assert!(!board.set("64", "gone", "").unwrap());
    assert!(
        board.set("7", "down", "").unwrap(),
        "a known one may change"
    );
    assert_eq!(look(&mut view, &board).len(), MAX_SOURCES);
    board.set("0", "gone", "").unwrap();
    assert!(board.set("64", "up", "").unwrap());
    assert_eq!(
        look(&mut view, &board),
        [row("0", "gone", ""), row("64", "up", "")]
    );
}

#[test]
fn b10_lengths_are_limited_and_the_error_names_field_and_limit() {
    let board = StatusBoard::new();
    let (name, detail) = ("n".repeat(255), "d".repeat(MAX_DETAIL));
    assert!(board.set(&name, &name, &detail).unwrap());
    let (name, detail) = (name + "n", detail + "d");
    let refusals = [
        (board.set(&name, "up", ""), "source", "255"),
        (board.set("a", &name, ""), "state", "255"),
        (board.set("a", "up", &detail), "detail", "4096"),
    ];
    for (refusal, field, limit) in refusals {
        let refused = refusal.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.context()),
            (ErrorKind::TooLarge, field)
        );
        assert!(refused.message().contains(limit), "{refused}");
    }
    for (refusal, field) in [
        (board.set("", "up", ""), "source"),
        (board.set("a", "", ""), "state"),
    ] {
        let refused = refusal.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.context()),
            (ErrorKind::InvalidArgument, field)
        );
    }
    assert_eq!(board.version(), 1, "a refusal changes nothing");
}

#[test]
fn b10_a_reader_beside_writers_ends_with_the_latest_of_each() {
    let board = StatusBoard::new();
    let mut seen = BTreeMap::new();
    thread::scope(|scope| {
        let writers = ["a", "b", "c"].map(|source| {
            let board = &board;
            scope.spawn(move || {
                for n in 0..5_000 {
                    board.set(source, "gone", "").unwrap();
                    board.set(source, "up", &format!("{n:05}")).unwrap();
                }
            })
        });
        let mut view = StatusView::new();
        let mut last = false;
        while !last {
            last = writers.iter().all(|writer| writer.is_finished());
            for (source, state, detail) in look_racing(&mut view, &board) {
                if state == GONE {
                    assert!(seen.contains_key(&source), "gone is told to who knew");
                    seen.insert(source, None);
                } else {
                    let before = seen.insert(source, Some(detail.clone()));
                    assert!(before.flatten().is_none_or(|before| before <= detail));
                }
            }
        }
    });
    let latest = Some("04999".to_owned());
    assert_eq!(seen.into_values().collect::<Vec<_>>(), vec![latest; 3]);
}

fn look_racing(view: &mut StatusView, board: &StatusBoard) -> Vec<(String, String, String)> {
    let mut told = Vec::new();
    view.changed(board, |source, state, detail| {
        told.push((source.to_string(), state.to_string(), detail.to_string()));
    });
    told
}

#[derive(Clone, Debug)]
enum Op {
    Set { source: usize, state: usize },
    Gone { source: usize },
    Look { reader: usize },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..80_usize, 0..3_usize).prop_map(|(source, state)| Op::Set { source, state }),
        2 => (0..80_usize).prop_map(|source| Op::Gone { source }),
        1 => (0..3_usize).prop_map(|reader| Op::Look { reader }),
    ]
}

/// What a reader knows: source to the state it was told last and the change that made it.
type Known = BTreeMap<usize, (usize, usize)>;

proptest! {
    /// Against a model: the board as a map, each reader as the map that it was told.
    #[test]
    fn b10_every_look_tells_the_difference_and_nothing_else(
        few_sources in any::<bool>(),
        ops in prop::collection::vec(op(), 0..400),
    ) {
        let board = StatusBoard::new();
        let mut model = Known::new();
        let mut readers: [(StatusView, Known); 3] = std::array::from_fn(|_| Default::default());
        // Half of the runs use five sources, so that each often goes and comes back; the others 80,
        // so that the limit is met.
        let name = |source: usize| if few_sources { source % 5 } else { source };
        for (change, op) in ops.into_iter().enumerate() {
            match op {
                Op::Set { source, state } => {
                    let source = name(source);
                    let set = board.set(&source.to_string(), &state.to_string(), "");
                    let known = model.get(&source).map(|(state, _)| *state);
                    if known.is_none() && model.len() == MAX_SOURCES {
                        prop_assert_eq!(set.unwrap_err().kind(), ErrorKind::TooManySources);
                        continue;
                    }
                    prop_assert_eq!(set, Ok(known != Some(state)));
                    if known != Some(state) {
                        model.insert(source, (state, change));
                    }
                }
                Op::Gone { source } => {
                    let source = name(source);
                    let set = board.set(&source.to_string(), GONE, "");
                    prop_assert_eq!(set, Ok(model.remove(&source).is_some()));
                }
                Op::Look { reader } => {
                    let (view, known) = &mut readers[reader];
                    let gone = known.keys().filter(|source| !model.contains_key(source));
                    let mut gone: Vec<_> = gone.map(|s| row(&s.to_string(), GONE, "")).collect();
                    let news = model.iter().filter(|(source, now)| known.get(source) != Some(now));
                    let mut news: Vec<_> = news.map(|(s, (state, at))| (*at, *s, *state)).collect();
                    news.sort_unstable();
                    let news = news.iter().map(|(_, s, state)| row(&s.to_string(), &state.to_string(), ""));
                    let mut told = look(view, &board);
                    let told_news = told.split_off(gone.len().min(told.len()));
                    told.sort();
                    gone.sort();
                    prop_assert_eq!(told, gone);
                    prop_assert_eq!(told_news, news.collect::<Vec<_>>());
                    *known = model.clone();
                }
            }
        }
    }
}
